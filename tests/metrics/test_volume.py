"""The correlation of two maps: the formulas of ChimeraX by hand, its invariances, and its errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.metrics.volume import default_level, volume_correlation


def pair(d: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    noise = np.random.default_rng(0).normal(size=(2, d, d, d))
    return torch.from_numpy(noise[0] + 1), torch.from_numpy(noise[0] + 0.5 * noise[1])


def test_correlations_by_their_formulas() -> None:
    a, b = pair()
    found = volume_correlation(a, b, 1.5)
    u, v = a.numpy()[a.numpy() >= 1.5], b.numpy()[a.numpy() >= 1.5]
    assert found.voxels == len(u)
    assert found.level == 1.5
    assert found.about_zero == pytest.approx((u * v).sum() / np.sqrt((u * u).sum() * (v * v).sum()))
    assert found.about_mean == pytest.approx(np.corrcoef(u, v)[0, 1])
    assert found.about_zero > found.about_mean + 0.1


def test_the_level_is_that_of_the_first_map() -> None:
    a, b = pair()
    assert volume_correlation(a, b, 2.0).voxels == int((a >= 2).sum())
    assert volume_correlation(b, a, 2.0).voxels == int((b >= 2).sum())


def test_scale_does_not_matter_offset_matters_about_zero_alone() -> None:
    a, b = pair()
    first, scaled, shifted = (volume_correlation(a, c) for c in (b, 3 * b, b + 2))
    assert scaled.about_zero == pytest.approx(first.about_zero)
    assert shifted.about_mean == pytest.approx(first.about_mean)
    assert shifted.about_zero > first.about_zero + 0.01
    assert volume_correlation(a, -a).about_zero == pytest.approx(-1)
    assert volume_correlation(a, -a).about_mean == pytest.approx(-1)


def test_default_level_is_the_99th_percentile() -> None:
    a, b = pair()
    assert default_level(a) == pytest.approx(np.percentile(a.numpy(), 99))
    found = volume_correlation(a, b)
    assert found.level == default_level(a)
    assert found.voxels == pytest.approx(0.01 * a.numel(), abs=2)


def test_a_map_without_spread_correlates_with_nothing() -> None:
    a, _ = pair()
    assert volume_correlation(a, torch.zeros_like(a)).about_zero == 0
    assert volume_correlation(a, torch.ones_like(a)).about_mean == 0


def test_a_level_that_nothing_reaches() -> None:
    a, b = pair()
    with pytest.raises(InputError, match=r"level 99: 0 voxels .* lower level"):
        volume_correlation(a, b, 99.0)
