"""RELION particle files of 2.x, 3.x and 5: read into the layout of 3.1."""

from __future__ import annotations

from collections.abc import Mapping
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

PIXEL_ORIGINS = ("rlnOriginX", "rlnOriginY")
USED_NUMBERS = frozenset(
    (
        *(*ANGLES, *ORIGINS, *PIXEL_ORIGINS, *MICROSCOPE, PIXEL_SIZE, IMAGE_SIZE, OPTICS_GROUP),
        *("rlnMagnification", "rlnDetectorPixelSize", "rlnPixelSize", "rlnRandomSubset"),
        *("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift", "rlnCtfBfactor", "rlnCtfScalefactor"),
        *("rlnCtfDataAreCtfPremultiplied", "rlnCtfDataArePhaseFlipped", "rlnBeamTiltX", "rlnBeamTiltY"),
        *("rlnMagMat00", "rlnMagMat01", "rlnMagMat10", "rlnMagMat11"),
    )
)
"""What is computed with: a value in these that is no finite number is an error."""
TOLERANCE = 1e-3
"""Two columns that state the same length may differ by this fraction before they contradict each other."""


def read_relion(path: Path, companions: Companions) -> Metadata:
    """Return the particles and the optics groups of a RELION star file, in the layout of RELION 3.1.

    A file of RELION 2.x or 3.0 has no optics table: one is made from voltage, spherical aberration, amplitude
    contrast and pixel size (rlnDetectorPixelSize um / rlnMagnification), as relion_convert_star does. Origins in
    pixels (rlnOriginX) become angstrom where the file knows the pixel size. All other columns stay as they are.

    Raises
    ------
    InputError: no particle, no column rlnImageName, columns of numbers that hold something else or what is not finite,
        two columns that contradict each other, tilt series and subtomograms, which are not one image a row.
    """
    if companions.poses or companions.ctf:
        raise InputError(f"{path}: <poses> and <ctf> were given, but a star file holds its own; leave them out")
    blocks = read_star(path)
    table = _particle_table(path, blocks)
    optics = blocks.get("optics")
    _refuse_tomograms(path, blocks.get("general"), optics)
    table = _with_numbers(path, table, "particle")
    if optics is None:
        metadata = _upgrade(path, table)
    else:
        metadata = _check_optics(path, table, _with_numbers(path, optics, "optics group"))
    sizes = metadata.optics[PIXEL_SIZE].to_numpy(np.float64)[optics_rows(path, metadata.table, metadata.optics)]
    if companions.pixel_size is not None:
        sizes = np.full(len(metadata.table), companions.pixel_size)
    if np.isnan(sizes).any():
        return metadata
    return Metadata(origins_in_angstrom(path, metadata.table, sizes), metadata.optics)


def origins_in_angstrom(path: Path, table: pd.DataFrame, sizes: np.ndarray) -> pd.DataFrame:
    """Return the table with origins in pixels, where it has any, turned into angstrom; sizes in angstrom, (n,).

    Raises
    ------
    InputError: a particle has origins in both units, and they are not the same.
    """
    for pixel_column, column in zip(PIXEL_ORIGINS, ORIGINS, strict=True):
        if pixel_column not in table.columns:
            continue
        pixels = table[pixel_column].to_numpy(np.float64)
        shifts: Any = pixels * sizes
        if column in table.columns:
            wrong = np.abs(table[column].to_numpy(np.float64) - shifts) > 0.01 * sizes
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


def _particle_table(path: Path, blocks: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    named = {name: table for name, table in blocks.items() if name != "optics" and IMAGE_NAME in table.columns}
    if len(named) > 1 and "particles" not in named:
        listed = " and ".join(f"data_{name}" for name in named)
        raise InputError(f"{path}: {listed} both name images; expected one particle table; remove the others")
    rest = [table for name, table in blocks.items() if name not in ("optics", "general")]
    table = named.get("particles", next(iter(named.values()), blocks.get("particles", rest[0] if rest else None)))
    if table is None or IMAGE_NAME not in table.columns:
        fault = "no particle table" if table is None else f"no column {IMAGE_NAME} among {', '.join(table.columns)}"
        raise InputError(f"{path}: {fault}; add {IMAGE_NAME} (000001@stack.mrcs), which joins rows to images")
    if table.empty:
        raise InputError(f"{path}: no particle; expected one row or more; was the selection empty?")
    return table


def _refuse_tomograms(path: Path, general: pd.DataFrame | None, optics: pd.DataFrame | None) -> None:
    if general is not None and _first(general, "rlnTomoSubTomosAre2DStacks") not in ("", "0", "0.0"):
        raise InputError(
            f"{path}: tilt-series particles (rlnTomoSubTomosAre2DStacks 1), each a stack of 2D tilts, are not one "
            "image a row; expected single particles; extract images of single particles"
        )
    if optics is not None and "3" in optics.get("rlnImageDimensionality", pd.Series(dtype=object)).astype(str).tolist():
        raise InputError(
            f"{path}: rlnImageDimensionality 3: subtomograms, which are volumes; expected images of single particles"
        )


def _first(table: pd.DataFrame, column: str) -> str:
    return str(table[column].iloc[0]) if column in table.columns and len(table) else ""


def _upgrade(path: Path, table: pd.DataFrame) -> Metadata:
    sizes = _table_pixel_size(path, table)
    table[PIXEL_SIZE] = np.nan if sizes is None else sizes
    moved = [c for c in (*MICROSCOPE, IMAGE_SIZE) if c in table.columns]
    obsolete = ("rlnMagnification", "rlnDetectorPixelSize", "rlnPixelSize")
    table = table.drop(columns=[c for c in obsolete if c in table.columns])
    return group_optics(table, [*moved, PIXEL_SIZE], OPTICS_GROUP if OPTICS_GROUP in table.columns else None)


def _check_optics(path: Path, table: pd.DataFrame, optics: pd.DataFrame) -> Metadata:
    if OPTICS_GROUP not in optics.columns:
        raise InputError(f"{path}: data_optics has no column {OPTICS_GROUP}; add it, numbered from 1")
    if optics[OPTICS_GROUP].duplicated().any():
        group = optics[OPTICS_GROUP][optics[OPTICS_GROUP].duplicated()].iloc[0]
        raise InputError(f"{path}: data_optics has two rows of {OPTICS_GROUP} {group}; which is meant? remove one")
    if OPTICS_GROUP not in table.columns:
        if len(optics) > 1:
            raise InputError(f"{path}: no column {OPTICS_GROUP}, and {len(optics)} optics groups; add the column")
        table[OPTICS_GROUP] = optics[OPTICS_GROUP].iloc[0]
    rows = optics_rows(path, table, optics)
    sizes = _table_pixel_size(path, table)
    if PIXEL_SIZE not in optics.columns:
        means = None if sizes is None else pd.Series(sizes).groupby(rows).mean()
        optics[PIXEL_SIZE] = np.nan if means is None else means.reindex(range(len(optics))).to_numpy()
    optics[PIXEL_SIZE] = optics[PIXEL_SIZE].astype(np.float64)
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
        magnification = table["rlnMagnification"].to_numpy(np.float64)
        if not (magnification > 0).all():
            row = int(np.argmin(magnification > 0))
            raise InputError(
                f"{path}: particle {row + 1} has rlnMagnification {magnification[row]:g}; expected more than 0; "
                "correct it"
            )
        size = table["rlnDetectorPixelSize"].to_numpy(np.float64) * 1e4 / magnification
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


def _with_numbers(path: Path, table: pd.DataFrame, row_name: str) -> pd.DataFrame:
    """Return the table with numbers in all columns that are used as such; InputError for anything else in them."""
    table = table.copy()
    for column in [name for name in table.columns if name in USED_NUMBERS]:
        values = pd.to_numeric(table[column], errors="coerce")
        wrong = ~np.isfinite(values.to_numpy(np.float64))
        if wrong.any():
            row = int(np.argmax(wrong))
            found = _shown(table[column].iloc[row])
            raise InputError(f"{path}: {row_name} {row + 1} has {column} {found}; expected a number; correct it")
        if values.dtype != table[column].dtype:
            table[column] = values
    return table


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)
