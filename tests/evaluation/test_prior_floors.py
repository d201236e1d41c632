"""Floors that know the prior's mean image and spectrum, in the grey scale of the input."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from cryoprior.evaluation import evaluate
from cryoprior.evaluation.prior_floors import PriorFloors
from cryoprior.evaluation.summary import CLEAN_IMAGES
from cryoprior.image.smoothing import low_passed
from cryoprior.image.spectrum import power_spectrum
from cryoprior.measurement.intensity import Contrast, Intensity
from cryoprior.operators import parse_operator, rounded
from cryoprior.prior.calibration import Calibration
from cryoprior.prior.gaussian import GaussianPrior

BOX, PARTICLES = 16, [0, 5, 2]


class Centred(GaussianPrior):
    def mean_image(self, box: int, like: Tensor) -> Tensor:
        axis = torch.arange(box, dtype=like.dtype) - box // 2
        return 0.5 * torch.exp(-(axis[:, None] ** 2 + axis**2) / 8)


def floors(intensity: Intensity, *, splits: bool = True) -> PriorFloors:
    power = torch.full((BOX, BOX // 2 + 1), 1.3)
    prior = Centred(power, (0.8 if splits else 0.0) * torch.ones_like(power))
    return PriorFloors(Calibration(prior, intensity, Contrast("dark", -9.0, "images")), 0.0, splits)


def test_they_are_in_the_grey_scale_and_the_contrast_of_the_input() -> None:
    operator = parse_operator("fourier:pattern=uniform,compression=2,sets=3", box=BOX)
    inner = torch.randn(3, BOX, BOX, generator=torch.Generator().manual_seed(0))
    found = []
    for intensity in (Intensity(0.0, 1.0), Intensity(7.0, -2.0)):
        y = operator.forward(intensity.from_prior(inner), PARTICLES)
        found.append(floors(intensity).images(y, operator, PARTICLES))
    assert found[0].keys() == {"gaussian", "wiener_signal", "mean_image"}
    for name, image in found[0].items():
        torch.testing.assert_close(found[1][name], 7 - 2 * image, atol=1e-4, rtol=1e-4)


def test_levels_of_rounding_are_taken_along_into_the_priors_grey_scale() -> None:
    # Seen to fail where the operator kept the levels of the input's grey scale.
    inner = torch.randn(3, BOX, BOX, generator=torch.Generator().manual_seed(0))
    found, text = [], f"crop:size=12,box={BOX}"
    for intensity, sigma in ((Intensity(0.0, 1.0), 0.9), (Intensity(7.0, -4.0), 3.6)):
        bands = [abs(intensity.scale) * (2.0 if band == 0 else 0.5) for band in range(parse_operator(text).bands)]
        levels = f"mean={intensity.offset},deviation={'/'.join(map(str, bands))}"
        operator = parse_operator(f"{text},bits=2,{levels}")
        y = rounded(operator, operator.forward(intensity.from_prior(inner), PARTICLES), PARTICLES)
        prior = dataclasses.replace(floors(intensity), sigma=sigma)
        found.append((prior.images(y, operator, PARTICLES)["wiener_signal"] - intensity.offset) / intensity.scale)
    torch.testing.assert_close(found[0], found[1], atol=1e-3, rtol=1e-3)


def test_a_prior_that_tells_no_signal_has_no_wiener_signal() -> None:
    operator = parse_operator("identity", box=BOX)
    y = operator.forward(torch.ones(3, BOX, BOX), PARTICLES)
    assert floors(Intensity(0.0, 1.0), splits=False).images(y, operator, PARTICLES).keys() == {"gaussian", "mean_image"}


def test_the_mean_image_knows_no_data() -> None:
    operator = parse_operator("identity", box=BOX)
    y = torch.randn(3, operator.m, generator=torch.Generator().manual_seed(1))
    mean = floors(Intensity(0.0, 1.0)).images(y, operator, PARTICLES)["mean_image"]
    torch.testing.assert_close(mean[0], mean[2])


def test_a_low_pass_keeps_what_is_below_it_and_nothing_else() -> None:
    white = torch.randn(40, BOX, BOX, generator=torch.Generator().manual_seed(2))
    kept = power_spectrum(low_passed(white)) / power_spectrum(white)
    radius = torch.hypot(torch.fft.fftfreq(BOX)[:, None], torch.fft.rfftfreq(BOX))
    torch.testing.assert_close(kept, (radius <= 0.1).to(kept))


def test_smoothing_wins_correlation_and_not_frc() -> None:
    # What the low-passed floor is for: it must stand beside the clean image in every evaluation that knows one.
    axis = torch.arange(32) - 16.0
    clean = torch.exp(-(axis[:, None] ** 2 + axis**2) / 40).expand(6, -1, -1).clone()
    noise = torch.randn(6, 32, 32, generator=torch.Generator().manual_seed(3))
    operator = parse_operator("identity", box=32)
    x = clean + noise
    result = evaluate(x, x, clean, operator.forward(x), operator, lpips="off").clean
    assert set(result) <= set(CLEAN_IMAGES)
    assert result["low_passed"]["correlation"] > 1.5 * result["reconstruction"]["correlation"]
    assert result["low_passed"]["frc"] == pytest.approx(result["reconstruction"]["frc"], abs=0.05)
