"""FSC by direction: equal where maps are, low where they differ, and the FSC itself in cones of 90 degrees."""

from __future__ import annotations

import math

import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.image.sphere import half_sphere
from cryoprior.metrics.directional_fsc import cell_centres, cell_of, directional_fsc, worst_and_best
from cryoprior.metrics.fsc import fsc


def noise(seed: int, d: int = 32) -> torch.Tensor:
    return torch.randn(d, d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cone_replaced(volume: torch.Tensor, axis: int, angle_deg: float, seed: int) -> torch.Tensor:
    """Return the volume with noise within an angle of an axis (0 z, 1 y, 2 x) of its transform."""
    d = len(volume)
    place = torch.stack(torch.meshgrid(*(torch.fft.fftfreq(d, dtype=torch.float64),) * 3, indexing="ij"))
    inside = place[axis].abs() >= math.cos(math.radians(angle_deg)) * place.norm(dim=0)
    mixed = torch.where(inside, torch.fft.fftn(noise(seed, d)), torch.fft.fftn(volume))
    return torch.fft.ifftn(mixed).real


def test_directions_are_spread_evenly_over_half_of_the_sphere() -> None:
    directions = half_sphere(500)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(500, dtype=torch.float64))
    assert float(directions[:, 2].min()) > 0
    moments = directions.T @ directions / 500
    torch.testing.assert_close(moments, torch.eye(3, dtype=torch.float64) / 3, rtol=0, atol=3e-3)
    nearest = (directions @ directions.T - 2 * torch.eye(500)).max(0).values.acos().rad2deg()
    assert 4.0 < float(nearest.min()) <= float(nearest.max()) < 8.0


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_centre_of_a_cell_lies_in_it_and_so_does_its_opposite(sign: float) -> None:
    centres = cell_centres(7)
    assert cell_of(sign * 3 * centres, 7).tolist() == list(range(3 * 49))


@pytest.mark.parametrize("d", [24, 25])
def test_in_cones_of_90_degrees_every_curve_is_the_fsc(d: int) -> None:
    a = noise(0, d)
    b = a + noise(1, d)
    found = directional_fsc(a, b, 3, 90.0)
    torch.testing.assert_close(found.curves, fsc(a, b).expand(3, -1), rtol=0, atol=1e-6)


def test_equal_maps_correlate_in_every_direction_and_the_scale_does_not_matter() -> None:
    a = noise(0)
    for factor in (1.0, 1e-25, 1e25):
        curves = directional_fsc(a, factor * a).curves
        torch.testing.assert_close(curves, torch.ones_like(curves), rtol=0, atol=1e-5)
    assert float(directional_fsc(a, 0 * a).curves.abs().max()) == 0
    assert float(directional_fsc(a.float(), -a.float()).curves.max()) == pytest.approx(-1)


def test_isotropic_maps_have_equal_cones() -> None:
    signal = noise(0, 48)
    a, b = signal + noise(1, 48), signal + noise(2, 48)
    found = directional_fsc(a, b)
    assert 1 < found.first_shell < 8
    torch.testing.assert_close(found.mean[12:], fsc(a, b)[12:], rtol=0, atol=0.02)
    spread = found.curves[:, 16:].std(0)  # of n pairs: (1 - FSC^2) / sqrt(2 n)
    pairs = 2 * math.pi * torch.arange(16, 25, dtype=torch.float64).square() * (1 - math.cos(math.radians(20)))
    torch.testing.assert_close(spread, 0.75 / (2 * pairs).sqrt(), rtol=0.35, atol=0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_where_a_cone_is_missing_its_directions_are_the_worst(axis: int) -> None:
    signal = noise(0)
    halves = [cone_replaced(signal, axis, 45.0, seed) for seed in (1, 2)]
    found = directional_fsc(*halves)
    angle = found.directions[:, 2 - axis].abs().acos().rad2deg()
    last = found.curves[:, 8:].mean(1)
    assert float(last[angle < 20].max()) < 0.1
    assert float(last[angle > 70].min()) > 0.95
    resolutions = found.resolutions(32, 2.0)
    assert float(resolutions[angle < 20].min()) > 6.0
    assert float(resolutions[angle > 70].max()) == 4.0
    worst, best = worst_and_best(resolutions)
    assert worst > 6.0
    assert best == pytest.approx(4.0)
    assert float(found.quantile(0)[10]) <= float(found.mean[10]) <= float(found.quantile(1)[10])


def test_turned_maps_have_turned_cones() -> None:
    halves = [cone_replaced(noise(0, 33), 0, 45.0, seed) for seed in (1, 2)]
    turned = [half.transpose(0, 2) for half in halves]  # z and x change places
    one, other = directional_fsc(*halves, cones=400), directional_fsc(*turned, cones=400)
    nearest = (other.directions @ one.directions.flip(1).T).abs().argmax(1)
    assert float((other.curves - one.curves[nearest])[:, 8:].abs().mean()) < 0.05
    for share in (0.1, 0.5, 0.9):
        torch.testing.assert_close(one.quantile(share)[8:], other.quantile(share)[8:], rtol=0, atol=0.08)


def test_worst_and_best_are_tenths_of_the_frequencies() -> None:
    frequency = torch.linspace(0.1, 0.2, 101, dtype=torch.float64)
    assert worst_and_best(1 / frequency) == pytest.approx((1 / 0.11, 1 / 0.19))


@pytest.mark.parametrize(("cones", "angle"), [(0, 20.0), (10, 0.0), (10, 91.0), (10, math.nan)])
def test_cones_that_are_none(cones: int, angle: float) -> None:
    with pytest.raises(InputError, match=f"{cones} cones of {angle:g} degrees: expected at least one"):
        directional_fsc(noise(0, 8), noise(1, 8), cones, angle)
