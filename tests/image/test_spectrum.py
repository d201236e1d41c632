from __future__ import annotations

import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.image.spectrum import (
    apply_filter,
    background_spectrum,
    frequency_radius,
    pair_weight,
    power_spectrum,
    radial_average,
    radial_filter,
    shell_index,
    soft_disc,
)


def draw(b: int, box: int) -> torch.Tensor:
    return torch.randn(b, box, box, dtype=torch.float64, generator=torch.Generator().manual_seed(box))


@pytest.mark.parametrize("box", [7, 8])
def test_weighted_power_is_the_energy_of_the_pixels(box: int) -> None:
    x = draw(3, box)
    energy = (power_spectrum(x) * pair_weight(box)).sum()
    torch.testing.assert_close(energy, x.square().sum((1, 2)).mean())


@pytest.mark.parametrize("box", [7, 8])
def test_every_coefficient_of_the_plane_is_counted_once(box: int) -> None:
    weight = pair_weight(box).expand(box, -1)
    assert float(weight.sum()) == box**2
    full = torch.round(torch.hypot(*torch.meshgrid(*[torch.fft.fftfreq(box) * box] * 2, indexing="ij"))).long()
    counts = torch.zeros(int(full.max()) + 1, dtype=torch.float64)
    counts.index_add_(0, shell_index(box).flatten(), weight.flatten())
    assert counts.long().tolist() == torch.bincount(full.flatten()).tolist()


@pytest.mark.parametrize("box", [7, 8])
def test_a_filter_of_ones_changes_nothing_and_filters_multiply(box: int) -> None:
    x = draw(2, box)
    torch.testing.assert_close(apply_filter(x, torch.ones(box, box // 2 + 1, dtype=x.dtype)), x)
    low, high = 1 / (1 + frequency_radius(box)), 1 + frequency_radius(box)
    torch.testing.assert_close(apply_filter(apply_filter(x, low), high), x)


def test_each_image_may_have_its_own_filter() -> None:
    x, transfer = draw(2, 8), torch.rand(2, 8, 5, dtype=torch.float64)
    torch.testing.assert_close(apply_filter(x, transfer)[1:], apply_filter(x[1:], transfer[1]))


def test_radial_average_keeps_the_variance_and_finds_a_radial_curve() -> None:
    box = 16
    curve = torch.linspace(3, 1, int(shell_index(box).max()) + 1, dtype=torch.float64)
    torch.testing.assert_close(radial_average(curve[shell_index(box)]), curve)
    power = power_spectrum(draw(4, box))
    flat = radial_average(power)[shell_index(box)]
    torch.testing.assert_close((flat * pair_weight(box)).sum(), (power * pair_weight(box)).sum())


def test_radial_filter_is_linear_between_points_and_constant_beyond() -> None:
    values, frequency = torch.tensor([5.0, 1.0]).double(), torch.tensor([0.1, 0.3]).double()
    found = radial_filter(values, frequency, 20)[0]  # along x: 0, 0.05, 0.1, ...
    expected = torch.tensor([5, 5, 5, 4, 3, 2, 1, 1, 1, 1, 1], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_background_of_white_noise_has_its_variance_whatever_the_particle() -> None:
    x = 2.0 * draw(200, 32) + 7.0
    particle = 50.0 * soft_disc(32, 8.0)
    power = background_spectrum(x + particle, 11.0)
    assert float((power * pair_weight(32)).sum() / 32**2) == pytest.approx(4.0, rel=0.05)
    torch.testing.assert_close(power, torch.full_like(power, 4.0), rtol=0.2, atol=0)


def test_background_needs_some() -> None:
    with pytest.raises(InputError, match=r"radius 15\.5 pixels in a box of 16: only .*noise_radius"):
        background_spectrum(draw(2, 16), 15.5)


def test_soft_disc_falls_once_around_the_centre() -> None:
    disc = soft_disc(16, 4.0, edge_pixel=2.0)
    row = disc[8, 8:].tolist()
    assert row[:5] == [1.0] * 5
    assert row[5] == pytest.approx(0.5)
    assert row[6:] == [0.0, 0.0]
    torch.testing.assert_close(disc[1:, 1:], disc[1:, 1:].flip(0).flip(1))
