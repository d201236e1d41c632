"""Particles listed one a line: place in its stack, stack, pixel size in angstrom."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cryoprior.errors import InputError
from cryoprior.io.formats import Companions, Metadata
from cryoprior.io.formats.columns import IMAGE_NAME, PIXEL_SIZE, group_optics


def read_listing(path: Path, companions: Companions) -> Metadata:
    """Return the particles of a listing, one optics group per pixel size.

    Raises
    ------
    InputError: no such file, or a line that is not ``place stack pixel_size``.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected lines of place, stack, pixel size; check the name")
    rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
    if not rows or any(len(row) != 3 for row in rows):
        raise InputError(f"{path}: expected place, stack and pixel size on every line; correct it")
    names = [f"{int(place):06d}@{stack}" for place, stack, _ in rows]
    table = pd.DataFrame({IMAGE_NAME: names, PIXEL_SIZE: [float(size) for _, _, size in rows]})
    return group_optics(table, [PIXEL_SIZE])
