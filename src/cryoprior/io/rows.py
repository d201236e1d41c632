"""Rows of a table: in batches, and a few that are spread evenly over all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64


def row_batches(rows: int | range, size: int) -> list[range]:
    """Return the rows in consecutive batches of ``size``, the last one shorter.

    Parameters
    ----------
    rows: a range of rows, or how many there are, counted from 0.
    size: rows per batch, at least 1.
    """
    rows = range(rows) if isinstance(rows, int) else rows
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def spread_rows(n: int, count: int, *, nearest: bool = False) -> Int64[np.ndarray, " k"]:
    """Return at most ``count`` of the rows 0 to n - 1, the first and the last among them, evenly spread, in order.

    Parameters
    ----------
    n: rows in all.
    count: rows that are wanted; all rows where there are no more.
    nearest: take the row nearest to each even place, not the one below it. Results depend on it: a caller
        keeps the choice that it has made.
    """
    places = np.linspace(0, n - 1, min(n, count))
    return np.unique((places.round() if nearest else places).astype(np.int64))


def chosen_rows(n: int, key: int | slice | Sequence[int] | np.ndarray) -> Int64[np.ndarray, " k"]:
    """Return the rows of 0 to n - 1 that an index, a slice, a list or a mask in square brackets means.

    Raises
    ------
    IndexError: a row outside, or a mask of another length.
    """
    if isinstance(key, slice):
        return np.arange(n)[key]
    wanted = np.atleast_1d(np.asarray(key))
    if not wanted.size:
        return np.zeros(0, np.int64)
    if wanted.ndim != 1 or wanted.dtype.kind not in "iub":
        raise IndexError(f"{key!r}: expected a row, a slice, a list of rows or a mask")
    rows: np.ndarray = np.arange(n)[wanted]
    return rows
