"""Where nothing was measured: power is compared there alone, and exact draws cover the truth as often as they say."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cryoprior.evaluation.unmeasured import LEVELS, coverage, missing_power
from cryoprior.measurement.conditioning import Measurement
from cryoprior.operators import parse_operator
from cryoprior.prior import GaussianPrior
from cryoprior.random import ParticleNoise


@pytest.mark.parametrize("text", ["fourier:pattern=uniform,compression=4", "pixel:block=8,masks=16"])
def test_missing_power_compares_what_was_not_measured(text: str) -> None:
    operator, images = parse_operator(text, box=32), torch.randn(8, 32, 32, generator=torch.Generator().manual_seed(0))
    same = missing_power(operator, images, images)
    assert same["ratio"] == pytest.approx([1.0] * 17)
    louder = missing_power(operator, operator.project(images) + 1.2 * (images - operator.project(images)), images)
    assert louder["deviation"] == pytest.approx(0.44, abs=1e-3)
    assert louder["mean"] == pytest.approx(1.44, abs=1e-3)


@pytest.fixture(scope="module")
def exact_draws() -> tuple[Any, torch.Tensor, list[torch.Tensor], torch.Tensor]:
    """Return an operator, Gaussian images, 16 draws of each given what was measured of it, and the mean of such."""
    operator = parse_operator("pixel:block=4,masks=8", box=16)
    grid = torch.arange(9.0).expand(16, -1)
    prior = GaussianPrior((0.1 + 4 / (1 + grid**2)).double())
    particles, nothing = range(96), torch.zeros(96, 16, 16, dtype=torch.float64)
    truth = prior.draw(ParticleNoise(1, "truth", particles).normal_like(nothing))
    measurement = Measurement(operator, operator.forward(truth, particles), 0.0, particles, "a test")
    draws = [measurement.condition(nothing, prior.power, ParticleNoise(i, "draw", particles)) for i in range(16)]
    return operator, truth, draws, measurement.condition(nothing, prior.power)


def test_exact_draws_cover_the_truth_as_often_as_they_say(exact_draws: Any) -> None:
    operator, truth, draws, _ = exact_draws
    shares = coverage(operator, draws, truth)
    assert tuple(shares) == LEVELS == (0.5, 0.8, 0.95)
    for level, (share, error) in shares.items():
        assert share == pytest.approx(level, abs=0.02)
        assert 0 < error < 0.02


@pytest.mark.parametrize(("spread", "below"), [(0.8, True), (1.25, False)])
def test_draws_that_are_too_narrow_cover_too_little(exact_draws: Any, spread: float, below: bool) -> None:
    operator, truth, draws, mean = exact_draws
    changed = [mean + spread * (x - mean) for x in draws]
    shares = coverage(operator, changed, truth)
    for level in LEVELS[:2]:
        share, error = shares[level]
        assert (share < level - 3 * error) is below
        assert (share > level + 3 * error) is not below
