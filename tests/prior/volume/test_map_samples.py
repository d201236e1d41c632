"""Draws of the map's posterior: closed forms where there are, and the same draws in any company."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.shells import Shells
from cryoprior.prior.volume.evidence import KNOTS, on_grid
from cryoprior.prior.volume.sampling import draw_whitened, mean_and_deviation
from prior.volume.test_map_prior import VOXEL_SIZE, gaussian_world, prior

BOX = 12
SNR = torch.logspace(1.2, -1.2, KNOTS)


def transform(volume: Tensor) -> Tensor:
    return torch.fft.rfftn(volume, norm="ortho", dim=(-3, -2, -1))


def normal(generator: torch.Generator, count: int = 1) -> Tensor:
    return torch.randn(count, BOX, BOX, BOX, generator=generator, dtype=torch.float64)


def measured(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Return the transform of a whitened map with noise of variance 1 / snr, within Nyquist."""
    ratio = on_grid(SNR[None].double(), BOX)[0]
    inside = Shells(BOX).inside
    noise = transform(normal(generator)[0]) / ratio.clamp_min(1e-9).sqrt()
    return (clean + noise) * inside


def draws(mean: object, fourier: Tensor, count: int) -> Tensor:
    """Return the transforms of many draws."""
    generator = torch.Generator().manual_seed(3)
    noise = lambda: normal(generator)[0]  # noqa: E731
    return torch.stack([draw_whitened(mean, fourier, SNR.double(), noise) for _ in range(count)])  # type: ignore[arg-type]


def test_a_gaussian_prior_is_drawn_with_its_mean_and_its_variance_by_frequency() -> None:
    ratio = on_grid(SNR[None].double(), BOX)[0]
    shells = Shells(BOX)
    fourier = measured(transform(normal(torch.Generator().manual_seed(0))[0]), torch.Generator().manual_seed(1))

    def wiener(z: Tensor, snr: Tensor) -> Tensor:
        r = ratio + (snr[0] - float(SNR[0]))  # a level adds the same to all
        return z * r / (1 + r)

    count = 60
    found = draws(wiener, fourier, count)
    mean = fourier * ratio / (1 + ratio)
    off = shells.mean((found.mean(0) - mean).abs().square())
    spread = shells.mean((found - mean).abs().square().mean(0))
    variance = shells.mean(shells.inside / (1 + ratio))
    numbers = shells.sizes()
    for shell in range(1, BOX // 2):
        error = math.sqrt(2 / float(numbers[shell]))
        assert float(off[shell] / variance[shell]) * count == pytest.approx(1, abs=5 * error)
        assert float(spread[shell] / variance[shell]) == pytest.approx(1, abs=5 * error / math.sqrt(count) + 0.03)


def test_of_two_molecules_each_is_drawn_as_often_as_it_is_likely() -> None:
    """Neither is near what a Gaussian prior would say, and the data leave open which it is."""
    generator = torch.Generator().manual_seed(5)
    inside = Shells(BOX).inside
    first, second = (transform(0.05 * volume) * inside for volume in normal(generator, 2))
    fourier = measured(first, generator)

    def distance(z: Tensor, t: Tensor, r: Tensor) -> Tensor:
        twice = torch.full((BOX // 2 + 1,), 2.0, dtype=torch.float64)
        twice[[0, -1]] = 1
        return (r * (z - t).abs().square() * twice * inside).sum()

    ratio = on_grid(SNR[None].double(), BOX)[0]

    def share(z: Tensor, snr: Tensor) -> Tensor:
        r = ratio + (snr[0] - float(SNR[0]))
        return torch.sigmoid((distance(z, second, r) - distance(z, first, r)) / 2)

    def mean(z: Tensor, snr: Tensor) -> Tensor:
        of_first = share(z, snr)
        return of_first * first + (1 - of_first) * second

    expected = float(share(fourier, SNR.double()))
    assert 0.1 < expected < 0.9
    count = 120
    found = draws(mean, fourier, count)
    near = [float((f - first).abs().square().sum() / (first - second).abs().square().sum()) for f in found]
    assert all(part < 0.02 or part > 0.9 for part in near)
    chosen = sum(part < 0.5 for part in near) / count
    assert chosen == pytest.approx(expected, abs=3 * math.sqrt(expected * (1 - expected) / count))


def test_a_draw_depends_on_the_seed_and_its_place_alone() -> None:
    _, noisy, ssnr = gaussian_world(16, level=4)
    model = prior()
    alone = next(model.samples(noisy, VOXEL_SIZE, ssnr, 1, steps=4))
    two = list(model.samples(noisy, VOXEL_SIZE, ssnr, 2, steps=4))
    other = next(model.samples(noisy, VOXEL_SIZE, ssnr, 1, seed=1, steps=4))
    torch.testing.assert_close(two[0], alone, rtol=0, atol=0)
    assert float((two[1] - two[0]).abs().max()) > 1e-2 * float(alone.abs().max())
    assert float((other - alone).abs().max()) > 1e-2 * float(alone.abs().max())
    expected = torch.stack(two).std(0)
    torch.testing.assert_close(model.deviation(noisy, VOXEL_SIZE, ssnr, 2, steps=4), expected)


def test_draws_lie_around_the_mean_in_the_grey_scale_of_the_map() -> None:
    _, noisy, ssnr = gaussian_world(16, level=4)
    model, scale = prior(trained=False), 250.0
    samples = list(model.samples(noisy * scale, VOXEL_SIZE, ssnr, 12))
    mean, deviation = mean_and_deviation(samples)
    off = (mean - model.mean(noisy * scale, VOXEL_SIZE, ssnr)) / (deviation / 12**0.5)
    assert float(off.square().mean()) == pytest.approx(1, abs=0.35)


def test_too_few_draws_are_refused() -> None:
    _, noisy, ssnr = gaussian_world(16, level=4)
    with pytest.raises(InputError, match="a deviation needs at least 2; ask for more"):
        prior().deviation(noisy, VOXEL_SIZE, ssnr, 1)
    with pytest.raises(InputError, match="samples 0 of 25 steps: expected at least 1"):
        next(prior().samples(noisy, VOXEL_SIZE, ssnr, 0))
