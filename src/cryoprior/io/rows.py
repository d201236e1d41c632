"""Rows of a table: in batches, and a few that are spread evenly over all."""

from __future__ import annotations

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
    nearest: take the row nearest to each even place, not the one below it. A number depends on it: a caller that
        has chosen stays with its choice.
    """
    places = np.linspace(0, n - 1, min(n, count))
    return np.unique((places.round() if nearest else places).astype(np.int64))
