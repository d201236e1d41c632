"""Every prior keeps the laws of :mod:`cryoprior.testing`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cryoprior.image.spectrum import shell_index
from cryoprior.prior.adapters import DdpmDenoiser, ddpm_unet
from cryoprior.prior.checkpoint import load_prior
from cryoprior.prior.denoiser import Denoiser, MeteredDenoiser
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.prior.network import NetworkConfig, SignalNetwork
from cryoprior.prior.signal import SignalDenoiser, Spectra
from cryoprior.testing import PRIOR_LAWS

BOX = 16
SHELL = torch.arange(int(shell_index(BOX).max()) + 1, dtype=torch.float64) / BOX
SPECTRA = Spectra(tuple((3 / (1 + (10 * SHELL) ** 2)).tolist()), tuple((0.5 - 0.3 * SHELL).tolist()))


def gaussian() -> Denoiser:
    return GaussianPrior(sum(SPECTRA.grids(BOX, torch.empty(0))))


def metered() -> Denoiser:
    return MeteredDenoiser(gaussian())


def signal() -> Denoiser:
    torch.manual_seed(0)
    network = SignalNetwork(NetworkConfig(channels=(8, 32), layers=1))
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    return SignalDenoiser(network.eval(), {BOX: SPECTRA})


def ddpm() -> Denoiser:
    """Return a network that predicts no noise: nothing is removed, so it denoises nothing."""
    torch.manual_seed(0)
    return DdpmDenoiser(ddpm_unet((32, 32), 1, BOX), {BOX: SPECTRA}, scale=0.25, offset=0.1)


@pytest.mark.parametrize("make", [gaussian, metered, signal, ddpm])
@pytest.mark.parametrize("law", PRIOR_LAWS)
def test_law(law: str, make: Callable[[], Denoiser]) -> None:
    if law != "denoising" or make is not ddpm:
        PRIOR_LAWS[law](make(), BOX)


@pytest.mark.parametrize("law", PRIOR_LAWS)
def test_law_of_a_prior_in_a_folder(law: str, tiny_prior: Path) -> None:
    PRIOR_LAWS[law](load_prior(tiny_prior).denoiser, 32)


@pytest.mark.parametrize("name", ["default", "operator-aware"])
def test_the_embedded_priors_denoise(name: str) -> None:
    PRIOR_LAWS["denoising"](load_prior(name).denoiser, 64)
