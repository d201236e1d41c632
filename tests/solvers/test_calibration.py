"""The spectrum of the data is found from measurements alone, and a prior takes it without losing its signal."""

from __future__ import annotations

import pytest
import torch

from cryoprior.image.spectrum import pixel_variance, radial_average, shell_index
from cryoprior.operators import parse_operator
from cryoprior.prior.conditioning import seen_share
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.prior.network import NetworkConfig, SignalNetwork
from cryoprior.prior.signal import SignalDenoiser, Spectra
from cryoprior.random import ParticleNoise
from cryoprior.solvers.calibration import calibrate, fit_spectrum

BOX, B = 32, 96


def curve(slope: float) -> torch.Tensor:
    """Return a radial power that falls with the shell."""
    shells = torch.arange(int(shell_index(BOX).max()) + 1, dtype=torch.float64)
    return 4 / (1 + (shells / slope) ** 2) + 0.3


def draws(radial: torch.Tensor) -> torch.Tensor:
    white = ParticleNoise(4, "x", range(B)).normal_like(torch.empty(B, BOX, BOX, dtype=torch.float64))
    return GaussianPrior(radial[shell_index(BOX)]).draw(white)


@pytest.mark.parametrize("sigma", [0.0, 0.5])
@pytest.mark.parametrize(
    ("text", "within"),
    [
        ("identity", 0.12),
        ("fourier:compression=3,sets=4", 0.25),
        ("fourier:pattern=ring,compression=4", 0.6),
        ("pixel:block=8,masks=32,sets=4", 0.25),
        ("pixel:block=4,masks=8,rows=bernoulli", 0.3),
    ],
)
def test_the_spectrum_comes_out_of_the_measurements(text: str, within: float, sigma: float) -> None:
    truth, guess = curve(4.0), curve(8.0)
    operator = parse_operator(text, box=BOX)
    y = operator.forward(draws(truth), range(B))
    y = y + sigma * ParticleNoise(5, "noise", range(B)).normal_like(y)
    found = guess * fit_spectrum(y, operator, guess[shell_index(BOX)], sigma, range(B))
    error, before = ((values / truth)[2 : BOX // 2].log().abs().max() for values in (found, guess))
    assert before > 0.7
    assert error < within


def test_shells_that_are_not_seen_go_over_into_the_priors_power() -> None:
    truth, guess = curve(4.0), 2.0 * curve(4.0)
    operator = parse_operator("crop:size=16", box=BOX)
    y = operator.forward(draws(truth), range(B))
    found = guess * fit_spectrum(y, operator, guess[shell_index(BOX)], 0.0, range(B))
    share = seen_share(operator, range(B), torch.empty(B, BOX, BOX, dtype=torch.float64))
    assert float(share[2:7].min()) > 0.95
    assert float(share[14:].max()) < 0.05
    assert torch.allclose(found[2:7], truth[2:7], rtol=0.2)
    assert float(found[10]) < 0.9 * float(guess[10])
    assert float(found[-1]) == pytest.approx(float(guess[-1]), rel=0.1)


def test_scale_and_spectrum_fit_together_and_dark_particles_turn_the_sign() -> None:
    truth = curve(4.0)
    truth = truth / pixel_variance(truth[shell_index(BOX)])
    operator = parse_operator("fourier:compression=2,sets=4", box=BOX)
    y = operator.forward(30.0 * draws(truth) + 5.0, range(B))
    for contrast in ("bright", "dark"):
        found = calibrate(y, operator, GaussianPrior(curve(8.0)[shell_index(BOX)]), 0.0, range(B), contrast=contrast)
        power = found.denoiser.spectrum(BOX) * found.intensity.scale**2
        ratio = radial_average(power) / (900 * truth)
        assert torch.allclose(ratio[2 : BOX // 2], torch.ones(1, dtype=torch.float64), atol=0.25)
        assert (found.intensity.scale < 0) is (contrast == "dark")
        assert float(pixel_variance(found.denoiser.spectrum(BOX))) == pytest.approx(1)


def test_the_spectrum_of_the_prior_stays_on_request() -> None:
    prior, operator = GaussianPrior(curve(8.0)[shell_index(BOX)]), parse_operator("identity", box=BOX)
    found = calibrate(operator.forward(draws(curve(4.0)), range(B)), operator, prior, 0.0, range(B), spectrum=False)
    assert found.denoiser is prior


def test_what_the_signal_leaves_is_noise() -> None:
    signal, noise = curve(2.0).tolist(), [1.0] * len(curve(2.0))
    network = SignalNetwork(NetworkConfig(channels=(8, 8), groups=4, head=4))
    prior = SignalDenoiser(network, {BOX: Spectra(tuple(signal), tuple(noise))})
    total = curve(2.0) + 1.0
    richer = prior.with_power_factor(BOX, (curve(2.0) + 3.0) / total)
    assert richer.spectra[BOX].signal == pytest.approx(signal)
    assert richer.spectra[BOX].noise == pytest.approx([3.0] * len(noise))
    poorer = prior.with_power_factor(BOX, 0.1 * curve(2.0) / total)
    assert all(n > 0 and s > 0 for s, n in zip(poorer.spectra[BOX].signal, poorer.spectra[BOX].noise, strict=True))
    torch.testing.assert_close(poorer.spectrum(BOX), (0.1 * curve(2.0)).float()[shell_index(BOX)])
    silent = SignalDenoiser(network, {BOX: Spectra(tuple(signal), (0.0,) * len(signal))})
    assert silent.with_power_factor(BOX, curve(4.0)) is silent
