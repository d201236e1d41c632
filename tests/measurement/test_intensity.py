"""The grey scale is found from measurements alone, whatever was measured of the images."""

from __future__ import annotations

import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.measurement.intensity import Intensity, contrast_clearness, decide_contrast, fit_intensity
from cryoprior.operators import parse_operator
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.random import ParticleNoise

BOX, B = 16, 200


def draws() -> tuple[GaussianPrior, torch.Tensor]:
    power = torch.linspace(5, 0.2, BOX // 2 + 1, dtype=torch.float64).expand(BOX, -1).clone()
    prior = GaussianPrior(power)
    return prior, prior.draw(ParticleNoise(4, "x", range(B)).normal_like(torch.empty(B, BOX, BOX, dtype=torch.float64)))


@pytest.mark.parametrize("sigma", [0.0, 20.0])
@pytest.mark.parametrize(
    "text",
    [
        "pixel:block=4,masks=4,rows=bernoulli,sets=2",
        "pixel:block=8,masks=64,rows=bernoulli",
        "fourier:compression=3,sets=2",
        "identity",
    ],
)
def test_scale_and_offset_are_found(text: str, sigma: float) -> None:
    prior, x = draws()
    operator, particles = parse_operator(text, box=BOX), range(B)
    y = operator.forward(25.0 * x - 300.0, particles)
    y = y + sigma * ParticleNoise(5, "noise", particles).normal_like(y)
    found = fit_intensity(y, operator, prior.power, sigma, particles)
    assert found.scale == pytest.approx(25.0, rel=0.05)
    assert found.offset == pytest.approx(-300.0, abs=5.0)


def test_the_map_goes_there_and_back() -> None:
    _, x = draws()
    operator, map_ = parse_operator("fourier:compression=2", box=BOX), Intensity(7.0, -3.0)
    inner = map_.to_prior(operator.forward(map_.from_prior(x), range(B)), operator, range(B))
    torch.testing.assert_close(inner, operator.forward(x, range(B)))


def test_measurements_below_their_noise_are_refused() -> None:
    prior, x = draws()
    operator = parse_operator("identity", box=BOX)
    with pytest.raises(InputError, match="no power above the noise, sigma 1000"):
        fit_intensity(operator.forward(x, range(B)), operator, prior.power, 1000.0, range(B))


def test_contrast_is_decided_by_the_images_unless_asked() -> None:
    _, x = draws()
    axis = torch.arange(BOX) - BOX // 2
    disc = (torch.hypot(*torch.meshgrid(axis.double(), axis.double(), indexing="ij")) < 4).double()
    bright, dark = contrast_clearness(x + disc), contrast_clearness(x - disc)
    assert decide_contrast("auto", bright).particles == "bright"
    assert decide_contrast("auto", dark).particles == "dark"
    assert decide_contrast("bright", dark).particles == "bright"
    assert decide_contrast("bright", dark).clear
    assert not decide_contrast("auto", contrast_clearness(x[:1])).clear
    assert str(decide_contrast("auto", 12.0)) == (
        "bright particles (centre +12.0 standard errors brighter than its surroundings)"
    )
