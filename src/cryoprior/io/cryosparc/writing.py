"""cryoSPARC particle files (.cs) written, so that what was read or reconstructed goes back without a detour."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from cryoprior.io.cryosparc.extra import RELION, RELION_OPTICS, UID, extra_field, field_values
from cryoprior.io.cryosparc.fields import (
    APPLIED,
    GROUP,
    STANDS_FOR,
    every_column,
    new_uids,
    relion_fields,
)
from cryoprior.io.cryosparc.joining import structured
from cryoprior.io.formats.columns import OPTICS_GROUP
from cryoprior.output.files import write_whole

ORDER = ("uid", "blob", "ctf", "alignments3D", "alignments2D", "location")
MADE_HERE = {"rlnOpticsGroupName", "rlnImageDimensionality"}
CHANGE_IMAGES = ("rlnCtfDataAreCtfPremultiplied", "rlnCtfDataArePhaseFlipped")
NEUTRAL: dict[str, Any] = {
    "ctf/type": np.array(b"imported"),
    "ctf/phase_shift_rad": np.float32(0),
    "ctf/scale": np.float32(1),
    "ctf/scale_const": np.float32(0),
    "ctf/shift_A": np.zeros(2, np.float32),
    "ctf/tilt_A": np.zeros(2, np.float32),
    "ctf/trefoil_A": np.zeros(2, np.float32),
    "ctf/tetra_A": np.zeros(4, np.float32),
    "ctf/anisomag": np.zeros(4, np.float32),
    "ctf/bfactor": np.float32(0),
}
"""What cryoSPARC's own import writes of a CTF where the star file does not say."""

log = logging.getLogger("cryoprior")


def write_cryosparc(path: Path, table: pd.DataFrame, optics: pd.DataFrame) -> Path:
    """Return the .cs file of a particle table and its optics groups, written whole or not at all.

    Columns that came from a .cs file are as they were, in cryoSPARC's types, wherever the RELION columns that stand for
    them still say the same; where those changed (another box, other poses), they are made anew. Particles that never
    were in cryoSPARC get a uid by all that their row says. RELION's columns without a name in cryoSPARC are called
    ``relion/...``, so that reading the file again loses none. blob/path is that of rlnImageName.

    What cryoSPARC cannot honour is named in a warning.
    """
    every = every_column(table, optics)
    fields, left = relion_fields(every)
    extras = {label: field for label in every.columns if (field := extra_field(label)) is not None}
    if "uid" not in fields:
        fields["uid"] = new_uids(every)
    if not extras and UID not in every.columns:
        fields |= _as_imported(every, fields)
    for label, (name, dtype) in extras.items():
        original = field_values(label, every[label], dtype)
        if name in fields:
            fields[name] = _where_it_still_holds(name, original, fields[name])
        elif name not in APPLIED or not original.any():  # else RELION's columns for it were taken out of the table
            fields[name] = original
    fields |= _relion_only(table, RELION) | _relion_only(optics, RELION_OPTICS, every)
    left += [name for name in CHANGE_IMAGES if name in every.columns and (every[name].to_numpy(np.float64) != 0).any()]
    if left:
        log.warning("%s: cryoSPARC has no place for %s, and will not honour it", path, ", ".join(left))
    content = io.BytesIO()
    np.save(content, structured(dict(sorted(fields.items(), key=_place))))
    return write_whole(path, content.getvalue())


def _as_imported(every: pd.DataFrame, fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what cryoSPARC's import adds to particles of RELION; bright particles, as RELION expects them."""
    n = len(every)
    more: dict[str, np.ndarray] = {"blob/sign": np.ones(n, np.float32), "blob/import_sig": np.zeros(n, np.uint64)}
    if "ctf/df1_A" not in fields:
        return more
    more[GROUP] = every[OPTICS_GROUP].to_numpy(np.uint32)
    return more | {k: np.repeat(np.asarray(v)[None], n, axis=0) for k, v in NEUTRAL.items() if k not in fields}


def _where_it_still_holds(name: str, original: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Return a column as it was in every row in which it means what the RELION columns say now, else as it is now."""
    if original.dtype.kind in "SU":
        same = np.char.lstrip(original.astype("S"), b">") == now
        return np.where(same, original.astype("S"), now)
    if original.shape != now.shape:
        return now
    if name.endswith("3D/pose"):
        turn = Rotation.from_rotvec(original.astype(np.float64)).inv() * Rotation.from_rotvec(now.astype(np.float64))
        same = turn.magnitude() < 1e-5
    else:
        close = np.isclose(original, now, rtol=1e-5, atol=1e-6 * max(np.abs(original).max(), 1e-30), equal_nan=True)
        same = close.reshape(len(now), -1).all(axis=1)
    return np.where(same.reshape(-1, *[1] * (now.ndim - 1)), original, now.astype(original.dtype))


def _relion_only(frame: pd.DataFrame, prefix: str, every: pd.DataFrame | None = None) -> dict[str, np.ndarray]:
    """Return RELION's columns that have no name in cryoSPARC; of an optics table, a row for every particle."""
    own = [c for c in frame.columns if c not in STANDS_FOR and extra_field(c) is None]
    own = [c for c in own if every is None or c not in MADE_HERE or not _numbered(frame, c)]
    source = frame if every is None else every
    return {f"{prefix}{name}": _typed(source[name]) for name in own}


def _numbered(optics: pd.DataFrame, name: str) -> bool:
    """Return whether a column of the optics table is the one that reading makes anyway."""
    made = [f"opticsGroup{i + 1}" for i in range(len(optics))] if name == "rlnOpticsGroupName" else [2] * len(optics)
    return list(optics[name]) == made


def _typed(column: pd.Series[Any]) -> np.ndarray:
    values = column.to_numpy()
    if values.dtype.kind in "iub":
        return np.asarray(values, np.int64)
    if values.dtype.kind == "f":
        return np.asarray(values, np.float64)
    return np.array([str(value).encode() for value in column], "S")


def _place(item: tuple[str, Any]) -> int:
    prefix = item[0].partition("/")[0]
    return ORDER.index(prefix) if prefix in ORDER else len(ORDER)
