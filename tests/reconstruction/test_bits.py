"""Numbers of few bits are measurements like others: every solver takes them, and the map has the right grey scale."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import cryoprior
from cryoprior.image.spectrum import apply_filter, shell_index
from cryoprior.measurement.conditioning import Measurement
from cryoprior.operators import parse_operator, rounded, with_levels
from cryoprior.operators.rounding import rounding_sigma
from cryoprior.solvers import SOLVERS

BOX, N = 32, 48
SPECS = ("quantize:bits=1", "fourier:compression=2,bits=2,sets=2", "pixel:block=8,masks=48,bits=2")
POWER = 1 / (1 + 0.3 * shell_index(BOX).double())
FEW = {"exact": "exact:steps=4", "posterior": "posterior", "gaussian": "gaussian"}


def images(n: int = N) -> torch.Tensor:
    white = torch.randn(n, BOX, BOX, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return 5 + 2 * apply_filter(white, POWER.sqrt())


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("solver", ["least-squares", *FEW])
def test_solvers_take_rounded_numbers(solver: str, spec: str, tiny_prior: Path) -> None:
    assert solver in SOLVERS
    x = images(8).float()
    operator = cryoprior.fit_levels(x, cryoprior.parse_operator(spec, box=BOX))
    y = cryoprior.measure(x, operator)
    made = cryoprior.reconstruct(y, operator, str(tiny_prior), FEW.get(solver, solver), device="cpu")
    assert bool(torch.isfinite(made.images).all())
    correlation = torch.corrcoef(torch.stack([made.images.flatten(), x.flatten()]))[0, 1]
    assert float(correlation) > 0.55


@pytest.mark.parametrize("spec", ["quantize:bits=8", "fourier:compression=2,bits=8", "pixel:block=8,masks=48,bits=8"])
def test_eight_bits_reconstruct_as_unrounded(spec: str) -> None:
    x, particles = images(), list(range(N))
    plain = parse_operator("identity" if spec.startswith("quantize") else spec.rpartition(",")[0], box=BOX)
    y = plain.forward(x - 5, particles)
    packed = with_levels(parse_operator(spec, box=BOX), y, particles)
    found = []
    for operator, numbers in ((plain, y), (packed, rounded(packed, y, particles))):
        measurement = Measurement(operator, numbers, rounding_sigma(operator), particles, "test")
        found.append(measurement.condition(torch.zeros_like(x), 4 * POWER))
    error = (found[1] - found[0]).square().mean().sqrt() / found[0].square().mean().sqrt()
    assert float(error) < 0.02


def test_the_linear_model_is_the_best_linear_estimate() -> None:
    x, particles = images(400) - 5, list(range(400))
    operator = parse_operator("fourier:compression=1,bits=1", box=BOX)
    y = operator.forward(x, particles)
    operator = with_levels(operator, y, particles)
    y = rounded(operator, y, particles)
    sigma = rounding_sigma(operator)

    def error(noise: float) -> float:
        measurement = Measurement(operator, y, noise, particles, "test")
        return float((measurement.condition(torch.zeros_like(x), 4 * POWER) - x).square().mean())

    best = error(sigma)
    assert best < min(error(0.8 * sigma), error(1.25 * sigma))
    # of the variance at each frequency 1 - 2 / pi is left, whatever the spectrum
    assert best == pytest.approx(float(x.square().mean()) * (1 - 2 / torch.pi), rel=0.05)
