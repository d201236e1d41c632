"""Levels of least error: against Max's table, the conditions that define them, and draws."""

from __future__ import annotations

import numpy as np
import pytest

from cryoprior.operators.levels import lloyd_max

ALL = range(1, 9)
MAX_1960 = {1: 0.3634, 2: 0.1175, 3: 0.03454, 4: 0.009497}
"""Least mean square errors of 2 to 16 levels: J. Max, IRE Trans. Inf. Theory 6 (1960) 7, Table I."""


@pytest.mark.parametrize("bits", MAX_1960)
def test_the_error_is_that_of_the_table(bits: int) -> None:
    assert 1 - lloyd_max(bits).gain == pytest.approx(MAX_1960[bits], rel=5e-4)


@pytest.mark.parametrize("bits", ALL)
def test_thresholds_are_midway_and_levels_are_means(bits: int) -> None:
    table = lloyd_max(bits)
    assert len(table.centroids) == 2**bits
    assert (np.diff(table.centroids) > 0).all()
    np.testing.assert_allclose((table.centroids[1:] + table.centroids[:-1]) / 2, table.thresholds, atol=1e-12)
    grid = np.linspace(-12, 12, 2_400_001)
    density, cell = np.exp(-(grid**2) / 2), np.searchsorted(table.thresholds, grid)
    weight, first = (np.bincount(cell, values, 2**bits) for values in (density, density * grid))
    np.testing.assert_allclose(first / weight, table.centroids, atol=2e-4)


@pytest.mark.parametrize("bits", ALL)
def test_the_bussgang_gain_is_that_of_draws(bits: int) -> None:
    table, y = lloyd_max(bits), np.random.default_rng(0).normal(size=400_000)
    rounded = table.levels[np.searchsorted(table.thresholds, y)]
    slope = float(rounded @ y / (y @ y))
    error = rounded - y
    assert slope == pytest.approx(1, abs=5 * table.noise / len(y) ** 0.5 + 1e-4)
    assert float(error.std()) == pytest.approx(table.noise, rel=0.01)
    assert abs(float(np.corrcoef(error, y)[0, 1])) < 0.01
