"""The spectrum of the data is found from measurements alone, and a prior takes it without losing its signal."""

from __future__ import annotations

import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.image.spectrum import pixel_variance, power_spectrum, radial_average, shell_index
from cryoprior.measurement.appearance import fit_appearance, fit_spectrum
from cryoprior.measurement.conditioning import seen_share
from cryoprior.operators import parse_operator
from cryoprior.prior.calibration import calibrate
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.prior.network import NetworkConfig, SignalNetwork
from cryoprior.prior.signal import SignalDenoiser, Spectra
from cryoprior.random import ParticleNoise

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


def test_the_spectrum_is_that_of_the_whole_sample() -> None:
    # Seen to fail: the first 128 of the sample were read, the first half of a stack whose later half is weaker.
    n = 200
    white = ParticleNoise(4, "x", range(n)).normal_like(torch.empty(n, BOX, BOX, dtype=torch.float64))
    power = curve(4.0)[shell_index(BOX)]
    x = GaussianPrior(power / pixel_variance(power)).draw(white)
    noise = ParticleNoise(5, "y", range(n)).normal_like(white)
    x[100:] += 3.0 * noise[100:]
    operator = parse_operator("identity", box=BOX)
    y = operator.forward(x)
    found = calibrate(y, operator, GaussianPrior(curve(8.0)[shell_index(BOX)]), 0.0, range(n))
    total = radial_average(found.denoiser.spectrum(BOX)) * found.intensity.scale**2
    expected = radial_average(power_spectrum(x))
    torch.testing.assert_close(total[8:], expected[8:], rtol=0.1, atol=0)


def test_the_spectrum_of_the_prior_stays_on_request() -> None:
    prior, operator = GaussianPrior(curve(8.0)[shell_index(BOX)]), parse_operator("identity", box=BOX)
    found = calibrate(operator.forward(draws(curve(4.0)), range(B)), operator, prior, 0.0, range(B), spectrum=False)
    assert found.denoiser is prior


def particles(box: int, sign: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images of mean 0 with a disc in the middle, and their power in units of their variance."""
    radial = curve(4.0)[: int(shell_index(box).max()) + 1]
    white = ParticleNoise(6, "x", range(B)).normal_like(torch.empty(B, box, box, dtype=torch.float64))
    axis = torch.arange(box, dtype=torch.float64) - box // 2
    disc = (torch.hypot(axis[:, None], axis) < box / 4).double()
    x = GaussianPrior(radial[shell_index(box)]).draw(white) + sign * 0.6 * (disc - disc.mean())
    power = radial_average(power_spectrum(x))
    return x, power / pixel_variance(power[shell_index(box)])


@pytest.mark.parametrize(("sign", "sigma"), [(1.0, 0.5), (-1.0, 0.0)], ids=["bright", "dark"])
@pytest.mark.parametrize("text", ["fourier:compression=2,sets=4", "pixel:block=4,masks=8,sets=2"])
def test_of_measurements_alone_grey_scale_contrast_and_power_are_found(text: str, sign: float, sigma: float) -> None:
    box = 16
    x, truth = particles(box, sign)
    operator = parse_operator(text, box=box)
    y = operator.forward(30.0 * x - 80.0, range(B))
    y = y + 30.0 * sigma * ParticleNoise(7, "noise", range(B)).normal_like(y)
    found = fit_appearance(y, operator, 30.0 * sigma, range(B))
    assert found.intensity.offset == pytest.approx(-80.0, abs=2.0)
    assert found.intensity.scale == pytest.approx(sign * 30.0 * float(x.std()), rel=0.05)
    assert found.contrast.particles == ("bright" if sign > 0 else "dark")
    assert found.contrast.clear
    torch.testing.assert_close(found.power[2:-1], truth[2:-1], rtol=0.2, atol=0)  # one number is in the last shell
    assert float(pixel_variance(found.power[shell_index(box)])) == pytest.approx(1)
    inner = found.intensity.to_prior(y, operator, range(B))
    inside = operator.pinv(inner, range(B))[:, box // 2, box // 2]
    assert float(inside.mean()) > 0  # in the prior's grey scale every particle is bright


def test_measurements_of_nothing_but_their_noise_have_no_appearance() -> None:
    operator = parse_operator("fourier:compression=2,sets=4", box=16)
    y = ParticleNoise(7, "noise", range(B)).normal_like(torch.empty(B, operator.m, dtype=torch.float64))
    with pytest.raises(InputError, match=r"measurements: no power above the noise, sigma 1\.5"):
        fit_appearance(y, operator, 1.5, range(B))


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
