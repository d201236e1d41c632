"""Faults of priors and of what is fitted to measurements."""

from __future__ import annotations

from mutants.mutant import Mutant

PRIOR = (
    Mutant(
        "noise is taken for signal",
        "prior/signal.py",
        "noise / (noise + tau.to(x)[:, None, None] ** 2))",
        "noise / (noise + 2 * tau.to(x)[:, None, None] ** 2))",
        "tests/prior/test_network.py tests/prior/test_laws.py tests/training/test_objectives.py",
    ),
    Mutant(
        "a DDPM is asked one step late",
        "prior/adapters.py",
        "time = (right - 1 + share).to(x)",
        "time = (right + share).to(x)",
        "tests/solvers/test_nesterov.py",
    ),
    Mutant(
        "half of the sample makes the spectrum",
        "prior/calibration.py",
        "factor = fit_spectrum(inner, inside, power, relative, particles)",
        "factor = fit_spectrum(inner[:100], inside, power, relative, list(particles)[:100])",
        "tests/prior/test_calibration.py -k whole_sample",
    ),
    Mutant(
        "all stages draw one noise",
        "random.py",
        'text = f"{seed}|{stage}|{particle}".encode()',
        'text = f"{seed}|{particle}".encode()',
        "tests/test_random.py",
    ),
    Mutant(
        "a scale without the noise of y",
        "measurement/intensity.py",
        "signal = float((weight * (z**2 - variance)).sum(dtype=torch.float64))",
        "signal = float((weight * z**2).sum(dtype=torch.float64))",
        "tests/measurement/test_intensity.py",
    ),
    Mutant(
        "the white noise that would leave the error is not looked up",
        "prior/evidence.py",
        "share = ((error[:, None] - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)",
        "share = ((error[:, None] - low) / (high - low).clamp_min(1e-12)).clamp(1, 1)",
        "tests/prior/test_evidence.py",
    ),
)
