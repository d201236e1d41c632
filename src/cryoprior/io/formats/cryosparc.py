"""cryoSPARC particle files (.cs): a structured numpy array, read into RELION's names and conventions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryoprior.errors import InputError
from cryoprior.io.euler import euler_of_vector
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
)

_PLAIN = {
    "rlnDefocusU": ("ctf/df1_A", 1.0),
    "rlnDefocusV": ("ctf/df2_A", 1.0),
    "rlnDefocusAngle": ("ctf/df_angle_rad", 180 / np.pi),
    "rlnPhaseShift": ("ctf/phase_shift_rad", 180 / np.pi),
    "rlnVoltage": ("ctf/accel_kv", 1.0),
    "rlnSphericalAberration": ("ctf/cs_mm", 1.0),
    "rlnAmplitudeContrast": ("ctf/amp_contrast", 1.0),
    "rlnCtfBfactor": ("ctf/bfactor", 1.0),
}


def read_cryosparc(path: Path, companions: Companions) -> Metadata:
    """Return the particles of a .cs file as RELION columns, with one optics group per exposure group.

    alignments3D/pose is a rotation vector r with R = Rz(rot) Ry(tilt) Rz(psi) = exp(r); alignments3D/shift is
    rlnOriginX, Y in pixels of alignments3D/psize_A. Angles in radians become degrees. Columns without a RELION
    counterpart are dropped; blob/sign says how cryoSPARC reads the grey values, which are left alone.

    Raises
    ------
    InputError: not a .cs file, no particle, or no blob/path and blob/idx.
    """
    if companions.poses or companions.ctf:
        raise InputError(f"{path}: <poses> and <ctf> were given, but a .cs file holds its own; leave them out")
    rows = _load(path)
    names = rows.dtype.names or ()
    missing = [name for name in ("blob/path", "blob/idx") if name not in names]
    if missing:
        raise InputError(
            f"{path}: no column {' and '.join(missing)} to find the images by; export the particles with their "
            "extracted images (the job's particles output, not its passthrough file)"
        )
    paths = [_text(value).lstrip(">") for value in rows["blob/path"]]
    table = pd.DataFrame({IMAGE_NAME: [f"{i + 1:06d}@{p}" for i, p in zip(rows["blob/idx"], paths, strict=True)]})
    for column, (name, factor) in _PLAIN.items():
        if name in names:
            table[column] = _decimal(rows[name]) * factor
    table[PIXEL_SIZE] = _decimal(rows["blob/psize_A"]) if "blob/psize_A" in names else np.nan
    if "blob/shape" in names:
        table[IMAGE_SIZE] = rows["blob/shape"][:, -1].astype(np.int64)
    _add_alignment(table, rows, names)
    if "location/micrograph_path" in names:
        table["rlnMicrographName"] = [_text(v).lstrip(">") for v in rows["location/micrograph_path"]]
    if "ctf/exp_group_id" in names:
        table[OPTICS_GROUP] = rows["ctf/exp_group_id"].astype(np.int64)
    optical = [c for c in (*MICROSCOPE, PIXEL_SIZE, IMAGE_SIZE) if c in table.columns]
    return group_optics(table, optical, OPTICS_GROUP if OPTICS_GROUP in table.columns else None)


def _load(path: Path) -> np.ndarray:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a cryoSPARC particle file; check the name")
    try:
        rows = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path}: not a cryoSPARC file: {error}; expected a structured numpy array") from error
    if not isinstance(rows, np.ndarray) or rows.dtype.names is None:
        raise InputError(f"{path}: not a cryoSPARC file: no named columns; expected a structured numpy array")
    if len(rows) == 0:
        raise InputError(f"{path}: no particle; expected one row or more; was the selection empty?")
    return rows


def _add_alignment(table: pd.DataFrame, rows: np.ndarray, names: tuple[str, ...]) -> None:
    if "alignments3D/pose" in names:
        angles = euler_of_vector(rows["alignments3D/pose"])
        for place, column in enumerate(ANGLES):
            table[column] = angles[:, place]
    if "alignments3D/shift" in names:
        size = _decimal(rows["alignments3D/psize_A"]) if "alignments3D/psize_A" in names else table[PIXEL_SIZE]
        for place, column in enumerate(ORIGINS):
            table[column] = rows["alignments3D/shift"][:, place].astype(np.float64) * size
    if "alignments3D/split" in names:
        table["rlnRandomSubset"] = rows["alignments3D/split"].astype(np.int64) + 1
    if "alignments3D/class" in names:
        table["rlnClassNumber"] = rows["alignments3D/class"].astype(np.int64) + 1


def _decimal(values: np.ndarray) -> np.ndarray:
    """Return float64 values as their shortest decimals say them: 2.7 stored in float32 becomes 2.7."""
    unique, inverse = np.unique(values, return_inverse=True)
    return np.array([float(str(v)) for v in unique])[inverse]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
