"""Faults of numbers."""

from __future__ import annotations

from mutants.mutant import Mutant

METRICS = (
    Mutant(
        "SSIM with variances of a population",
        "metrics/image.py",
        "sample = window**2 / (window**2 - 1)",
        "sample = 1.0",
        "tests/metrics/test_image.py",
    ),
    Mutant(
        "half of the coefficients counted once",
        "metrics/fsc.py",
        "1 + twice.double()",
        "1 + 0 * twice.double()",
        "tests/metrics/test_fsc.py",
    ),
    Mutant(
        "a resolution at the next shell",
        "metrics/fsc.py",
        "(shell - 1 + (above - threshold) / (above - below))",
        "(shell + (above - threshold) / (above - below))",
        "tests/metrics/test_fsc.py",
    ),
    Mutant(
        "the referee takes half maps for the truth",
        "metrics/referee.py",
        "norm = (_positive(power) * _positive(self.signal)).sqrt()",
        "norm = (_positive(power) * _positive(self.signal + self.noise)).sqrt()",
        "tests/metrics/test_referee.py",
    ),
    Mutant(
        "the referee's noise of the full map is that of a half",
        "metrics/referee.py",
        '"noise": _dot(f1 - f2, f1 - f2) / 4',
        '"noise": _dot(f1 - f2, f1 - f2) / 2',
        "tests/metrics/test_referee.py",
    ),
    Mutant(
        "a gate that is never in doubt",
        "metrics/gate.py",
        "smooth = mean / total - SURE * square.sqrt() / total",
        "smooth = mean / total",
        "tests/metrics/test_gate.py -k lowered",
    ),
    Mutant(
        "no mate of a pose",
        "metrics/pose.py",
        "return group[_nearest(a @ b.mT, group)] @ a",
        "return a",
        "tests/metrics/test_pose.py",
    ),
    Mutant(
        "clusters are shared out by the rows",
        "metrics/agreement.py",
        "agreeing / np.maximum(matched_sizes, 1)",
        "agreeing / np.maximum(sizes, 1)",
        "tests/metrics/test_agreement.py",
    ),
)
