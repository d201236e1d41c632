from __future__ import annotations

import numpy as np
import pytest

from cryoprior.io.rows import row_batches, spread_rows

SIZES = [(0, 4), (1, 4), (7, 3), (8, 4), (500, 512), (2049, 2048), (105519, 512)]


@pytest.mark.parametrize(("n", "size"), [(0, 3), (1, 3), (6, 3), (7, 3)])
def test_batches_hold_every_row_once_in_order(n: int, size: int) -> None:
    batches = row_batches(n, size)
    assert [row for rows in batches for row in rows] == list(range(n))
    assert all(len(rows) == size for rows in batches[:-1])
    assert all(0 < len(rows) <= size for rows in batches)


def test_batches_of_a_range_keep_its_rows() -> None:
    assert row_batches(range(10, 15), 2) == [range(10, 12), range(12, 14), range(14, 15)]


@pytest.mark.parametrize(("n", "count"), SIZES)
@pytest.mark.parametrize("nearest", [False, True])
def test_spread_rows_are_those_that_the_commands_always_chose(n: int, count: int, nearest: bool) -> None:
    places = np.linspace(0, n - 1, min(n, count))
    expected = np.unique(places.round().astype(int)) if nearest else np.unique(places.astype(int))
    rows = spread_rows(n, count, nearest=nearest)
    assert rows.tolist() == expected.tolist()
    assert len(rows) == min(n, count)
    if n:
        assert (rows[0], rows[-1]) == (0, n - 1) if count > 1 else True


def test_fewer_rows_than_wanted_are_all_taken() -> None:
    """Without the limit by n the same rows come out, which some callers relied on."""
    for n in range(1, 40):
        for nearest in (False, True):
            places = np.linspace(0, n - 1, 512)
            assert spread_rows(n, 512, nearest=nearest).tolist() == list(range(n))
            assert np.unique((places.round() if nearest else places).astype(int)).tolist() == list(range(n))
