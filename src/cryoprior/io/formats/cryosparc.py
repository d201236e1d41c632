"""cryoSPARC particle files (.cs): a structured numpy array, read into RELION's names and conventions."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryoprior.errors import InputError
from cryoprior.io.cryosparc.aberrations import BEAM_TILT, EVEN, MAGNIFICATION, ODD, relion_aberrations
from cryoprior.io.cryosparc.alignments import alignment_columns
from cryoprior.io.cryosparc.checks import check_columns
from cryoprior.io.cryosparc.extra import (
    RELION,
    RELION_OPTICS,
    UID,
    decoded,
    extra_label,
    shortest_decimals,
    table_values,
)
from cryoprior.io.cryosparc.fields import (
    APPLIED,
    GROUP,
    MICROGRAPH,
    MICROGRAPH_PATH,
    PLAIN,
    every_column,
    relion_fields,
)
from cryoprior.io.cryosparc.joining import joined_rows
from cryoprior.io.formats.columns import (
    IMAGE_NAME,
    IMAGE_SIZE,
    MICROSCOPE,
    OPTICS_GROUP,
    PIXEL_SIZE,
    Companions,
    Metadata,
    group_optics,
)

IMAGES = {"uid", "blob/path", "blob/idx"}
SHIFT = "ctf/shift_A"
LARGEST_SHIFT = 0.25
"""Pixels. A shift of the images by their optics that no command applies is told below this, and refused above."""
DESCRIBE = {"ctf/type", "ctf/path", "ctf/fit_data_path", "ctf/exp_group_id", "ctf/scale_const", "ctf/df_range"}
DESCRIBE |= {"ctf/cross_corr_ctffind4", "ctf/ctf_fit_to_A", "ctf/fig_of_merit_gctf", SHIFT}
"""Columns of the CTF that change no image, or are dealt with by name."""

log = logging.getLogger("cryoprior")


def read_cryosparc(path: Path, companions: Companions) -> Metadata:
    """Return the particles of a .cs file as RELION columns, with one optics group per exposure group.

    alignments3D/pose is a rotation vector r with R = Rz(rot) Ry(tilt) Rz(psi) = exp(r); alignments3D/shift is
    rlnOriginX, Y in pixels of alignments3D/psize_A. Angles in radians become degrees. Aberrations are those of
    :mod:`cryoprior.io.cryosparc.aberrations`. The grey values are left alone: blob/sign, by which cryoSPARC
    multiplies them, stays a column. So does every column without a RELION name, and every one that could not be
    written again to the last bit: see :mod:`cryoprior.io.cryosparc.extra`. uid is the column cryosparcUid.

    A file without images is joined with its job's passthrough file: :mod:`cryoprior.io.cryosparc.joining`.

    Raises
    ------
    InputError: not a .cs file, no particle, no images, or a column that changes images and cannot be honoured.
    """
    if companions.poses or companions.ctf:
        raise InputError(f"{path}: <poses> and <ctf> were given, but a .cs file holds its own; leave them out")
    rows = joined_rows(path, companions.passthrough)
    names = rows.dtype.names or ()
    check_columns(path, rows)
    _check_optics(path, rows)
    table = pd.DataFrame(_relion_columns(path, rows))
    optical = [*MICROSCOPE, PIXEL_SIZE, IMAGE_SIZE, *BEAM_TILT, ODD, EVEN, *MAGNIFICATION]
    if GROUP in names:
        table[OPTICS_GROUP] = rows[GROUP].astype(np.int64)
    kept, constant = _kept(rows, table)
    passed = {name: table_values(rows[name]) for name in names if name.startswith(RELION_OPTICS)}
    whole = pd.concat([table, pd.DataFrame({**kept, **constant, **passed})], axis=1)
    by = [name for name in (*optical, *constant, *passed) if name in whole.columns]
    metadata = group_optics(whole, by, OPTICS_GROUP if OPTICS_GROUP in table.columns else None)
    optics = metadata.optics
    for name in passed:  # the file's own names of optics groups, in place of those that grouping makes
        optics[name.removeprefix(RELION_OPTICS)] = optics.pop(name)
    return Metadata(metadata.table, optics)


def _relion_columns(path: Path, rows: np.ndarray) -> dict[str, Any]:
    names = rows.dtype.names or ()
    stacks = [decoded(value).lstrip(">") for value in rows["blob/path"]]
    columns: dict[str, Any] = {IMAGE_NAME: [f"{i + 1:06d}@{p}" for i, p in zip(rows["blob/idx"], stacks, strict=True)]}
    if "uid" in names:
        columns[UID] = [str(uid) for uid in rows["uid"]]
    columns |= {
        column: shortest_decimals(rows[name]) * factor for column, (name, factor) in PLAIN.items() if name in names
    }
    there = "blob/psize_A" in names
    columns[PIXEL_SIZE] = shortest_decimals(rows["blob/psize_A"]) if there else np.full(len(rows), np.nan)
    if "blob/shape" in names:
        columns[IMAGE_SIZE] = rows["blob/shape"][:, -1].astype(np.int64)
    if {"ctf/accel_kv", "ctf/cs_mm"} <= set(names):
        columns |= relion_aberrations(rows)
    columns |= alignment_columns(path, rows, columns[PIXEL_SIZE])
    if MICROGRAPH_PATH in names:
        columns[MICROGRAPH] = [decoded(value).lstrip(">") for value in rows[MICROGRAPH_PATH]]
    own = [name for name in names if name.startswith(RELION)]
    return columns | {name.removeprefix(RELION): table_values(rows[name]) for name in own}


def _kept(rows: np.ndarray, table: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return by label the columns that stay, of each particle and of the whole file: no name, or not the same again."""
    plain = table.assign(**{OPTICS_GROUP: 1})
    again, _ = relion_fields(every_column(plain, pd.DataFrame({OPTICS_GROUP: [1]})))
    each: dict[str, Any] = {}
    constant: dict[str, Any] = {}
    for name in rows.dtype.names or ():
        values = rows[name]
        if name in IMAGES or name.startswith((RELION, RELION_OPTICS)) or _same(again.get(name), values):
            continue
        label = extra_label(name, np.dtype((values.dtype, values.shape[1:])) if values.ndim > 1 else values.dtype)
        if _same(values, np.broadcast_to(values[:1], values.shape)):
            constant[label] = list(table_values(values[:1])) * len(values)
        else:
            each[label] = table_values(values)
    return each, constant


def _same(a: np.ndarray | None, b: np.ndarray) -> bool:
    """Return whether two columns hold the same values, in types that differ by the room for texts at most."""
    if a is None or a.shape != b.shape or a.dtype.kind != b.dtype.kind:
        return False
    if a.dtype.kind == "f":
        return a.dtype.itemsize == b.dtype.itemsize and np.array_equal(a, b, equal_nan=True)
    return bool((a == b).all())


def _check_optics(path: Path, rows: np.ndarray) -> None:
    names = rows.dtype.names or ()
    moved = np.abs(rows[SHIFT]).max() if SHIFT in names else 0.0
    size = float(rows["blob/psize_A"].max()) if "blob/psize_A" in names else 1.0
    if moved > LARGEST_SHIFT * size:
        raise InputError(
            f"{path}: {SHIFT} of up to {moved:.3g} A at {size:.3g} A a pixel; expected at most {LARGEST_SHIFT:g} "
            "pixel, as no command moves images by it; set it to 0 in cryoSPARC, and align the particles again"
        )
    if moved:
        log.warning("%s: %s of up to %.3g A is kept, but not applied", path, SHIFT, moved)
    odd = [name for name in ("ctf/tilt_A", "ctf/trefoil_A") if name in names and rows[name].any()]
    if odd:
        log.warning(
            "%s: %s: cryoSPARC publishes no sign; taken as pyem takes it, rlnBeamTilt = asin(tilt / Cs)",
            path,
            " and ".join(odd),
        )
    strange = [n for n in names if n.startswith("ctf/") and n not in APPLIED | DESCRIBE and _numbers(rows[n])]
    if strange:
        log.warning("%s: %s: unknown, so kept, but not applied", path, ", ".join(strange))


def _numbers(values: np.ndarray) -> bool:
    return values.dtype.kind in "fiu" and bool(values.any())
