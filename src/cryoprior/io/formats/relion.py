"""RELION particle files of 2.x, 3.x and 5: read into the layout of 3.1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryoprior.errors import InputError
from cryoprior.io.formats.columns import (
    ANGLES,
    IMAGE_NAME,
    IMAGE_SIZE,
    MICROSCOPE,
    OPTICS_GROUP,
    ORIGINS,
    PIXEL_SIZE,
    Companions,
    Metadata,
    group_optics,
    optics_rows,
)
from cryoprior.io.star import read_star

TOLERANCE = 1e-3
"""Two columns that state the same length may differ by this fraction before they contradict each other."""


def read_relion(path: Path, companions: Companions) -> Metadata:
    """Return the particles and the optics groups of a RELION star file, in the layout of RELION 3.1.

    A file of RELION 2.x or 3.0 has no optics table: one is made from voltage, spherical aberration, amplitude
    contrast and pixel size (rlnDetectorPixelSize um / rlnMagnification), as relion_convert_star does. Origins in
    pixels (rlnOriginX) become angstrom. All other columns stay as they are.

    Raises
    ------
    InputError: no particle, no column rlnImageName, or two columns that contradict each other.
    """
    if companions.poses or companions.ctf:
        raise InputError(f"{path}: <poses> and <ctf> were given, but a star file holds its own; leave them out")
    blocks = read_star(path)
    named = [t for name, t in blocks.items() if name != "optics" and IMAGE_NAME in t.columns]
    table = named[0] if named else blocks.get("particles", next((t for n, t in blocks.items() if n != "optics"), None))
    if table is None or IMAGE_NAME not in table.columns:
        fault = "no particle table" if table is None else f"no column {IMAGE_NAME} among {', '.join(table.columns)}"
        raise InputError(f"{path}: {fault}; add {IMAGE_NAME} (000001@stack.mrcs), which joins rows to images")
    if table.empty:
        raise InputError(f"{path}: no particle; expected one row or more; was the selection empty?")
    _require_numbers(path, table)
    optics = blocks.get("optics")
    metadata = _upgrade(path, table) if optics is None else _check_optics(path, table.copy(), optics.copy())
    sizes = metadata.optics[PIXEL_SIZE].to_numpy(np.float64)[optics_rows(path, metadata.table, metadata.optics)]
    if companions.pixel_size is not None:
        sizes = np.full(len(metadata.table), companions.pixel_size)
    return Metadata(_origins_in_angstrom(path, metadata.table, sizes), metadata.optics)


def _upgrade(path: Path, table: pd.DataFrame) -> Metadata:
    table = table.copy()
    sizes = _table_pixel_size(path, table)
    table[PIXEL_SIZE] = np.nan if sizes is None else sizes
    moved = [c for c in (*MICROSCOPE, IMAGE_SIZE) if c in table.columns]
    obsolete = ("rlnMagnification", "rlnDetectorPixelSize", "rlnPixelSize")
    table = table.drop(columns=[c for c in obsolete if c in table.columns])
    return group_optics(table, [*moved, PIXEL_SIZE], OPTICS_GROUP if OPTICS_GROUP in table.columns else None)


def _check_optics(path: Path, table: pd.DataFrame, optics: pd.DataFrame) -> Metadata:
    if OPTICS_GROUP not in optics.columns:
        raise InputError(f"{path}: data_optics has no column {OPTICS_GROUP}; add it, numbered from 1")
    if OPTICS_GROUP not in table.columns:
        if len(optics) > 1:
            raise InputError(f"{path}: no column {OPTICS_GROUP}, and {len(optics)} optics groups; add the column")
        table[OPTICS_GROUP] = optics[OPTICS_GROUP].iloc[0]
    rows = optics_rows(path, table, optics)
    sizes = _table_pixel_size(path, table)
    if PIXEL_SIZE not in optics.columns:
        means = None if sizes is None else pd.Series(sizes).groupby(rows).mean()
        optics[PIXEL_SIZE] = np.nan if means is None else means.reindex(range(len(optics))).to_numpy()
    optics[PIXEL_SIZE] = pd.to_numeric(optics[PIXEL_SIZE], errors="coerce").astype(np.float64)
    if sizes is not None:
        _agree(path, sizes, "the particle table", optics[PIXEL_SIZE].to_numpy()[rows], f"{PIXEL_SIZE} of data_optics")
    if PIXEL_SIZE in table.columns:
        table = table.drop(columns=PIXEL_SIZE)
    return Metadata(table.reset_index(drop=True), optics.reset_index(drop=True))


def _table_pixel_size(path: Path, table: pd.DataFrame) -> np.ndarray | None:
    """Return the pixel size in angstrom that the particle table states, (n,), or None."""
    plain = [column for column in (PIXEL_SIZE, "rlnPixelSize") if column in table.columns]
    stated = [(column, table[column].to_numpy(np.float64)) for column in plain]
    if {"rlnMagnification", "rlnDetectorPixelSize"} <= set(table.columns):
        size = table["rlnDetectorPixelSize"].to_numpy(np.float64) * 1e4 / table["rlnMagnification"].to_numpy(np.float64)
        stated.append(("rlnDetectorPixelSize / rlnMagnification", size))
    for name, sizes in stated[1:]:
        _agree(path, stated[0][1], stated[0][0], sizes, name)
    return stated[0][1] if stated else None


def _agree(path: Path, a: np.ndarray, name_a: str, b: np.ndarray, name_b: str) -> None:
    wrong = np.abs(a - b) > TOLERANCE * np.abs(b)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{path}: particle {row + 1} has a pixel size of {a[row]:.4f} A by {name_a} and {b[row]:.4f} A by "
            f"{name_b}; they contradict each other; remove the wrong column"
        )


def _origins_in_angstrom(path: Path, table: pd.DataFrame, sizes: np.ndarray) -> pd.DataFrame:
    for pixel_column, column in zip(("rlnOriginX", "rlnOriginY"), ORIGINS, strict=True):
        if pixel_column not in table.columns:
            continue
        pixels = table[pixel_column].to_numpy(np.float64)
        shifts: Any = pixels * sizes
        if column in table.columns:
            wrong = np.abs(table[column].to_numpy(np.float64) - shifts) > 0.01 * np.nan_to_num(sizes, nan=np.inf)
            if wrong.any():
                row = int(np.argmax(wrong))
                raise InputError(
                    f"{path}: particle {row + 1} has {pixel_column} {pixels[row]} pixels and {column} "
                    f"{table[column].iloc[row]} A at {sizes[row]:.4f} A a pixel; they contradict each other; remove one"
                )
            table = table.drop(columns=pixel_column)
        else:
            table = table.rename(columns={pixel_column: column})
            table[column] = shifts
    return table


def _require_numbers(path: Path, table: pd.DataFrame) -> None:
    numeric = {*ANGLES, *ORIGINS, *MICROSCOPE, "rlnOriginX", "rlnOriginY", "rlnDefocusU", "rlnDefocusV", PIXEL_SIZE}
    numeric |= {"rlnDefocusAngle", "rlnPhaseShift", "rlnMagnification", "rlnDetectorPixelSize", "rlnPixelSize"}
    for column in sorted(numeric & set(table.columns)):
        values = pd.to_numeric(table[column], errors="coerce")
        if values.isna().any():
            row = int(np.argmax(values.isna().to_numpy()))
            raise InputError(
                f"{path}: particle {row + 1} has {column} {table[column].iloc[row]!r}; expected a number; correct it"
            )
        table[column] = values
