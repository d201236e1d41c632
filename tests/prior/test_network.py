from __future__ import annotations

import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.image.spectrum import apply_filter, pair_weight, shell_index
from cryoprior.prior.evidence import evidence_of_image
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.prior.network import NetworkConfig, SignalNetwork
from cryoprior.prior.signal import SignalDenoiser, Spectra
from cryoprior.training.presets import PRESETS

TINY = NetworkConfig(channels=(8, 32), layers=1)
AWARE = NetworkConfig(channels=(8, 32), layers=1, operator_aware=True)


def curves(box: int) -> Spectra:
    shell = torch.arange(int(shell_index(box).max()) + 1, dtype=torch.float64) / box
    signal, noise = 3 / (1 + (20 * shell) ** 2), 0.8 - 0.5 * shell
    return Spectra(tuple(signal.tolist()), tuple(noise.tolist()))


def network(*, trained: bool = False, config: NetworkConfig = TINY) -> SignalNetwork:
    torch.manual_seed(0)
    found = SignalNetwork(config)
    if trained:  # weights as if of a training: nothing is zero
        for weight in found.parameters():
            torch.nn.init.normal_(weight, std=0.1)
    return found.eval()


def draw(b: int, box: int) -> torch.Tensor:
    return torch.randn(b, box, box, generator=torch.Generator().manual_seed(box))


@pytest.mark.parametrize("box", [16, 64, 128])
def test_before_training_it_is_the_wiener_filter(box: int) -> None:
    x = draw(2, box)
    signal, noise = curves(box).grids(box, x)
    total = torch.stack([noise + 0.01, noise + 25.0])
    with torch.no_grad():
        found = network()(evidence_of_image(x, signal, total))
    assert found.shape == x.shape
    torch.testing.assert_close(found, apply_filter(x, signal / (signal + total)), rtol=0, atol=0)


def test_the_small_preset_takes_64_and_128_and_stays_small() -> None:
    with torch.device("meta"):
        found = SignalNetwork(PRESETS["small"].network())
    parameters = sum(p.numel() for p in found.parameters())
    assert parameters <= 10e6
    assert parameters * 2 <= 20e6  # float16
    assert 64 % PRESETS["small"].network().multiple == 0


def test_a_trained_network_treats_every_image_alone() -> None:
    x = draw(3, 16)
    signal, noise = curves(16).grids(16, x)
    total = noise + torch.tensor([0.1, 1.0, 9.0])[:, None, None] ** 2
    with torch.no_grad():
        whole = network(trained=True)(evidence_of_image(x, signal, total))
        alone = network(trained=True)(evidence_of_image(x[1:2], signal, total[1:2]))
    torch.testing.assert_close(whole[1:2], alone, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(whole, apply_filter(x, signal / (signal + total)), atol=1e-2)


def test_only_an_operator_aware_network_looks_at_what_was_seen() -> None:
    x = draw(2, 16)
    signal, noise = curves(16).grids(16, x)
    unseen = evidence_of_image(x, signal, noise.expand(2, -1, -1))
    zero, seen = unseen._replace(seen=torch.zeros_like(x)), unseen._replace(seen=draw(2, 16).sin())
    with torch.no_grad():
        plain, aware = network(trained=True), network(trained=True, config=AWARE)
        assert torch.equal(plain(unseen), plain(seen))
        assert torch.equal(aware(unseen), aware(zero))
        assert not torch.allclose(aware(unseen), aware(seen), atol=1e-3)


def test_what_it_adds_to_the_linear_estimate_is_in_units_of_its_error() -> None:
    x = draw(2, 16)
    signal, noise = curves(16).grids(16, x)
    evidence = evidence_of_image(x, signal, noise.expand(2, -1, -1))
    with torch.no_grad():
        added = network(trained=True)(evidence) - evidence.linear
        more = network(trained=True)(evidence._replace(error=3 * evidence.error)) - evidence.linear
    torch.testing.assert_close(more, 3 * added, rtol=1e-4, atol=1e-5)
    assert bool(added.any())


def test_the_error_of_an_image_is_that_of_the_wiener_filter() -> None:
    box = 16
    signal, noise = (grid.double() for grid in curves(box).grids(box, draw(1, box)))
    white = torch.randn(2, 4000, box, box, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    clean, added = apply_filter(white[0], signal.sqrt()), apply_filter(white[1], noise.sqrt())
    error = apply_filter(clean + added, signal / (signal + noise)) - clean
    found = evidence_of_image(clean + added, signal, noise[None].expand(4000, -1, -1)).error
    assert float(found[0]) == pytest.approx(float(error.std()), rel=0.01)


@pytest.mark.parametrize("tau", [0.05, 1.0, 20.0])
def test_an_untrained_denoiser_is_that_of_the_gaussian_prior(tau: float) -> None:
    box, x = 32, draw(3, 32)
    denoiser = SignalDenoiser(network(), {box: curves(box)})
    gaussian = GaussianPrior(denoiser.spectrum(box))
    level = torch.tensor([tau, 2 * tau, 0.7 * tau])
    torch.testing.assert_close(denoiser(x, level), gaussian(x, level), rtol=1e-4, atol=1e-5)


def test_without_noise_in_the_data_the_image_is_the_signal() -> None:
    x, spectra = draw(2, 16), curves(16)
    noiseless = SignalDenoiser(network(trained=True), {16: Spectra(spectra.signal, (0.0,) * len(spectra.noise))})
    signal, _ = spectra.grids(16, x)
    with torch.no_grad():
        expected = network(trained=True)(evidence_of_image(x, signal, torch.full((2, 16, 9), 4.0)))
    torch.testing.assert_close(noiseless(x, torch.full((2,), 2.0)), expected)


def test_a_denoiser_keeps_dtype_and_no_gradient() -> None:
    denoiser = SignalDenoiser(network(trained=True), {16: curves(16)})
    x = draw(2, 16).double().requires_grad_()
    found = denoiser(x.detach(), torch.ones(2, dtype=torch.float64))
    assert found.dtype == torch.float64
    assert not found.requires_grad
    single = denoiser(x.detach().float(), torch.ones(2))
    torch.testing.assert_close(found.float(), single, rtol=1e-3, atol=1e-3)


def test_a_denoiser_that_saw_only_measurements_takes_no_noisy_image() -> None:
    denoiser = SignalDenoiser(network(config=AWARE), {16: curves(16)}, means_only=True)
    assert denoiser.operator_aware
    with pytest.raises(InputError, match="trained on measurements alone, it gives posterior means"):
        denoiser(draw(1, 16), torch.ones(1))
    shells = len(curves(16).signal)
    assert denoiser.with_power_factor(16, torch.ones(shells, dtype=torch.float64)).means_only
    assert not SignalDenoiser(network(), {16: curves(16)}).operator_aware


def test_a_box_it_does_not_know_is_refused() -> None:
    denoiser = SignalDenoiser(network(), {16: curves(16), 32: curves(32)})
    with pytest.raises(InputError, match="box 64; it was trained for 16, 32"):
        denoiser(draw(1, 64), torch.ones(1))
    with pytest.raises(InputError, match="box 8"):
        denoiser.spectrum(8)


def test_told_another_power_it_has_that_power_and_the_old_network() -> None:
    box, spectra = 32, curves(32)
    denoiser = SignalDenoiser(network(trained=True), {box: spectra})
    old = torch.tensor(spectra.signal).double() + torch.tensor(spectra.noise).double()
    factor = torch.linspace(1.5, 0.8, len(old), dtype=torch.float64)
    tuned = denoiser.with_power_factor(box, factor)
    torch.testing.assert_close(tuned.spectrum(box).double(), (factor * old)[shell_index(box)], rtol=1e-5, atol=1e-6)
    same = denoiser.with_power_factor(box, torch.ones_like(factor))
    x, level = draw(2, box), torch.ones(2)
    torch.testing.assert_close(same(x, level), denoiser(x, level), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(tuned(x, level), denoiser(x, level), atol=1e-2)
    torch.testing.assert_close(denoiser.spectrum(box).double(), old[shell_index(box)])  # left as it was


def test_pixel_variance_is_the_weighted_mean_power() -> None:
    box = 16
    white = apply_filter(draw(3000, box).double(), curves(box).grids(box, torch.empty(0).double())[1].sqrt())
    power = curves(box).grids(box, white)[1]
    assert float((power * pair_weight(box)).sum() / box**2) == pytest.approx(float(white.var()), rel=0.02)
