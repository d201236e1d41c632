"""The paper's Table 3 from a benchmark of maps: sums of pixels and Fourier masks side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import pandas as pd

RESOLUTION, CORRELATION = "resolution_0143_angstrom", "truth_correlation"
QUALITY = ["resolution (Å)", "volume correlation", "angular error (°)", "shift error (pixels)"]
HEADS = {"pixel": ["pixel K", "C", "bytes"], "fourier": ["Fourier C", "bytes"]}
BLOCK = re.compile(r"\bblock=(\d+)")


def paper_table_3(numbers: pd.DataFrame, poses: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return column heads and rows of Table 3 for one method: pixel cells, and beside them Fourier cells.

    Resolution is that of the half maps at 0.143; pose errors are medians. What is not known stays empty, and a series
    without cells has no columns.

    Parameters
    ----------
    numbers: rows of one method at one number of particles, in the order in which cells are shown.
    poses: pose errors of the same method, one row per cell; may be empty.
    """
    errors: dict[str, Mapping[str, Any]] = {} if poses.empty else poses.set_index("cell").to_dict("index")
    columns: list[str] = []
    halves = []
    for series, head in HEADS.items():
        of_series = numbers[numbers["series"] == series]
        if len(of_series):
            columns += [*head, *QUALITY]
            halves.append([_line(row, errors.get(row["cell"], {})) for row in of_series.to_dict("records")])
    blank = [[""] * len(half[0]) for half in halves]
    lines = zip_longest(*halves)
    rows = [[text for part, empty in zip(line, blank, strict=True) for text in part or empty] for line in lines]
    return columns, rows


def _line(row: Mapping[str, Any], errors: Mapping[str, Any]) -> list[str]:
    block = BLOCK.search(str(row["operator"]))
    name = [block[1] if block else ""] if row["series"] == "pixel" else []
    numbers = [_text(row[RESOLUTION]), _text(row.get(CORRELATION))]
    pose = [_text(errors.get(column)) for column in ("median_angle_deg", "median_shift_pixel")]
    return [*name, f"{row['compression']:.3g}", f"{row['bytes_per_particle']:,.0f}", *numbers, *pose]


def _text(value: float | None) -> str:
    return "" if value is None or pd.isna(value) else f"{value:.2f}"
