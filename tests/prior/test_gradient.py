"""The derivative of a denoiser: closed form for a Gaussian, differences of its values for networks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from cryoprior.image.spectrum import apply_filter, shell_index
from cryoprior.prior.adapters import DdpmDenoiser, ddpm_unet
from cryoprior.prior.denoiser import MeteredDenoiser, linearise
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.prior.network import NetworkConfig, SignalNetwork
from cryoprior.prior.signal import SignalDenoiser, Spectra

BOX = 16
TAU = torch.tensor([0.3, 1.0, 5.0], dtype=torch.float64)
SHELL = torch.arange(int(shell_index(BOX).max()) + 1, dtype=torch.float64) / BOX
SPECTRA = Spectra(tuple((3 / (1 + (10 * SHELL) ** 2)).tolist()), tuple((0.5 - 0.3 * SHELL).tolist()))


def normal(seed: int, b: int = len(TAU)) -> torch.Tensor:
    return torch.randn(b, BOX, BOX, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def filled(network: torch.nn.Module) -> torch.nn.Module:
    """Return the network with weights as if of a training: nothing is zero."""
    torch.manual_seed(0)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return network.eval()


def gaussian() -> GaussianPrior:
    return GaussianPrior(sum(SPECTRA.grids(BOX, TAU)))


def signal() -> SignalDenoiser:
    return SignalDenoiser(filled(SignalNetwork(NetworkConfig(channels=(8, 32), layers=1))), {BOX: SPECTRA})


def ddpm() -> DdpmDenoiser:
    return DdpmDenoiser(filled(ddpm_unet((32, 32), 1, BOX)), {BOX: SPECTRA}, scale=0.25, offset=0.1)


EACH_PRIOR = pytest.mark.parametrize("make", [gaussian, signal, ddpm])
Make = Callable[[], GaussianPrior | SignalDenoiser | DdpmDenoiser]


@EACH_PRIOR
def test_the_value_is_that_of_the_denoiser(make: Make) -> None:
    prior, x = make(), normal(0)
    found, _ = linearise(prior, x, TAU)
    assert torch.equal(found, prior(x, TAU))


def test_the_derivative_of_a_gaussian_prior_is_its_gain() -> None:
    prior, v = gaussian(), normal(1)
    _, pullback = linearise(prior, normal(0), TAU)
    gain = prior.power / (prior.power + TAU[:, None, None] ** 2)
    torch.testing.assert_close(pullback(v), apply_filter(v, gain))


@pytest.mark.parametrize("make", [signal, ddpm])
def test_the_derivative_of_a_network_is_that_of_differences(make: Make) -> None:
    # Differences along the derivative itself and along another direction; networks compute in float32.
    prior, x, v, step = make(), normal(0), normal(1), 0.1
    g = linearise(prior, x, TAU)[1](v)
    length = g.flatten(1).norm(dim=1)
    for along in (g, normal(2)):
        direction = along / along.flatten(1).norm(dim=1)[:, None, None]
        rise = (v * (prior(x + step * direction, TAU) - prior(x - step * direction, TAU))).sum((1, 2)) / (2 * step)
        torch.testing.assert_close((g * direction).sum((1, 2)) / length, rise / length, rtol=0, atol=5e-3)
    linear = linearise(gaussian(), x, TAU)[1](v)
    assert float((g - linear).norm() / linear.norm()) > 0.05  # the network counts


@EACH_PRIOR
def test_no_derivative_touches_another_image(make: Make) -> None:
    x, v = normal(0), normal(1)
    found = linearise(make(), x, TAU)[1](v)
    one = torch.zeros_like(v)
    one[1] = v[1]
    lone = linearise(make(), x, TAU)[1](one)
    assert not lone[[0, 2]].any()
    torch.testing.assert_close(lone[1], found[1], rtol=1e-5, atol=1e-6)
    alone = linearise(make(), x[1:2], TAU[1:2])[1](v[1:2])
    torch.testing.assert_close(alone, found[1:2], rtol=1e-5, atol=1e-5)


@EACH_PRIOR
def test_it_is_the_same_where_gradients_are_off_and_leaves_none_behind(make: Make) -> None:
    prior, x, v = make(), normal(0), normal(1)
    value, pullback = linearise(prior, x, TAU)
    with torch.no_grad():
        quiet_value, quiet_pullback = linearise(prior, x, TAU)
        assert torch.equal(quiet_value, value)
        torch.testing.assert_close(quiet_pullback(v), pullback(v))
        assert not torch.is_grad_enabled()
    found = linearise(prior, x.requires_grad_(), TAU)[1](v)
    assert x.grad is None
    assert not found.requires_grad
    assert not value.requires_grad
    if not isinstance(prior, GaussianPrior):
        assert all(weight.grad is None for weight in prior.network.parameters())


def test_forward_and_backward_are_counted_apart() -> None:
    prior = MeteredDenoiser(signal())
    value, pullback = linearise(prior, normal(0), TAU)
    assert (prior.calls, prior.backward_calls) == (1, 0)
    before = prior.seconds
    found = pullback(normal(1))
    assert (prior.calls, prior.backward_calls) == (1, 1)
    assert prior.seconds > before > 0
    bare_value, bare_pullback = linearise(signal(), normal(0), TAU)
    torch.testing.assert_close(value, bare_value)
    torch.testing.assert_close(found, bare_pullback(normal(1)))


def test_a_derivative_may_be_asked_once() -> None:
    _, pullback = linearise(signal(), normal(0), TAU)
    pullback(normal(1))
    with pytest.raises(RuntimeError, match="second time"):
        pullback(normal(1))


def test_mixed_precision_leaves_the_type_of_the_images() -> None:
    prior, x, v = MeteredDenoiser(signal(), torch.bfloat16), normal(0).float(), normal(1).float()
    value, pullback = linearise(prior, x, TAU.float())
    found = pullback(v)
    assert value.dtype == found.dtype == torch.float32
    exact = linearise(signal(), x, TAU.float())[1](v)
    assert 1e-6 < float((found - exact).norm() / exact.norm()) < 0.1
