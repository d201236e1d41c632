"""The mean image of a prior, asked of its denoiser."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cryoprior.metrics import correlation
from cryoprior.prior import load_prior
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.prior.mean_image import answer_to_nothing, radial_image

BOX = 32


def blob() -> Tensor:
    axis = torch.arange(BOX, dtype=torch.float64) - BOX // 2
    return radial_image(torch.exp(-(axis[:, None] ** 2 + axis**2) / 30))


def test_what_is_linear_in_the_noise_cancels() -> None:
    mean = blob()
    found = answer_to_nothing(lambda x, tau: mean + 0.3 * x, BOX, mean)
    torch.testing.assert_close(found, mean, atol=1e-12, rtol=0)


def test_what_is_not_radial_is_averaged_over_the_rings() -> None:
    mean = blob()
    slope = torch.arange(BOX, dtype=torch.float64).expand(BOX, -1)
    found = answer_to_nothing(lambda x, tau: (mean + slope).expand_as(x), BOX, mean)
    torch.testing.assert_close(found, mean + radial_image(slope))


def test_gaussian_images_about_zero_have_no_mean() -> None:
    prior = GaussianPrior(torch.ones(BOX, BOX // 2 + 1, dtype=torch.float64))
    assert float(answer_to_nothing(prior, BOX, blob()).abs().max()) < 1e-12


@pytest.mark.parametrize("name", ["default", "operator-aware"])
def test_the_embedded_priors_know_a_particle_in_the_middle(name: str) -> None:
    prior = load_prior(name)
    mean = prior.mean_image(64, torch.zeros(1))
    axis = torch.arange(64) - 32
    disc = (torch.hypot(*torch.meshgrid(axis.float(), axis.float(), indexing="ij")) < 14).float()
    assert float(correlation(mean[None], disc[None])[0]) > 0.8
    assert float(mean.abs().max()) < 1
    torch.testing.assert_close(prior.mean_image(64, torch.zeros(1)), mean)
