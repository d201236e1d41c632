"""The columns of a .cs file that RELION's columns stand for, made from a particle table and its optics groups."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from cryoprior.io.cryosparc.aberrations import (
    ANISOMAG,
    BEAM_TILT,
    EVEN,
    MAGNIFICATION,
    ODD,
    TETRAFOIL,
    TILT,
    TREFOIL,
    cryosparc_aberrations,
)
from cryoprior.io.cryosparc.alignments import CLASS, IN_PLANE, REFINED, SUBSET
from cryoprior.io.cryosparc.extra import UID, extra_field, field_values
from cryoprior.io.formats.columns import ANGLES, IMAGE_NAME, IMAGE_SIZE, MICROSCOPE, OPTICS_GROUP, ORIGINS, PIXEL_SIZE

RADIANS = 180 / np.pi
PLAIN = {
    "rlnDefocusU": ("ctf/df1_A", 1.0),
    "rlnDefocusV": ("ctf/df2_A", 1.0),
    "rlnDefocusAngle": ("ctf/df_angle_rad", RADIANS),
    "rlnPhaseShift": ("ctf/phase_shift_rad", RADIANS),
    "rlnVoltage": ("ctf/accel_kv", 1.0),
    "rlnSphericalAberration": ("ctf/cs_mm", 1.0),
    "rlnAmplitudeContrast": ("ctf/amp_contrast", 1.0),
    "rlnCtfBfactor": ("ctf/bfactor", 1.0),
    "rlnCtfScalefactor": ("ctf/scale", 1.0),
}
"""Columns of RELION with their column of cryoSPARC, and the factor from the second to the first."""
APPLIED = {name for name, _ in PLAIN.values()} | {TILT, TREFOIL, TETRAFOIL, ANISOMAG}
APPLIED |= {f"{prefix}/{name}" for prefix in (REFINED, IN_PLANE) for name in ("pose", "shift")}
"""Columns of cryoSPARC that change images, or say how they lie, and have a name in RELION."""
MICROGRAPH, MICROGRAPH_PATH = "rlnMicrographName", "location/micrograph_path"
GROUP = "ctf/exp_group_id"
STANDS_FOR = {*PLAIN, IMAGE_NAME, IMAGE_SIZE, PIXEL_SIZE, MICROGRAPH, UID, *ANGLES, *ORIGINS, SUBSET, CLASS, ODD, EVEN}
STANDS_FOR |= {*BEAM_TILT, *MAGNIFICATION, OPTICS_GROUP}
"""Columns of RELION that are written as cryoSPARC's own."""


def every_column(table: pd.DataFrame, optics: pd.DataFrame) -> pd.DataFrame:
    """Return the particle table with the columns of each particle's optics group; the particle's own win."""
    rows = pd.Index(optics[OPTICS_GROUP]).get_indexer(table[OPTICS_GROUP])
    more = [name for name in optics.columns if name not in table.columns]
    return pd.concat([table.reset_index(drop=True), optics[more].iloc[rows].reset_index(drop=True)], axis=1)


def relion_fields(every: pd.DataFrame) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return cryoSPARC's columns, (n, ...) each, of what :func:`every_column` gives, and what they cannot hold."""
    fields: dict[str, np.ndarray] = {}
    if UID in every.columns:
        fields["uid"] = field_values(UID, every[UID], np.dtype("<u8"))
    fields |= _images(every)
    for column, (name, factor) in PLAIN.items():
        if column in every.columns:
            fields[name] = (every[column].to_numpy(np.float64) / factor).astype(np.float32)
    left: list[str] = []
    if set(MICROSCOPE[:2]) <= set(every.columns):
        optical = {name: every[name].tolist() for name in (*BEAM_TILT, ODD, EVEN, *MAGNIFICATION) if name in every}
        voltage, cs = (every[name].to_numpy(np.float64) for name in MICROSCOPE[:2])
        found, left = cryosparc_aberrations(optical, voltage, cs)
        fields |= {name: values.astype(np.float32) for name, values in found.items()}
    fields |= _alignments(every)
    if MICROGRAPH in every.columns:
        fields[MICROGRAPH_PATH] = _bytes(every[MICROGRAPH])
    return fields, left


def new_uids(every: pd.DataFrame) -> np.ndarray:
    """Return a uid for every row, (n,) uint64, by all that the row says: the same for the same particles."""
    texts = every.astype(str).agg("\t".join, axis=1)
    digests = [hashlib.blake2b(f"{row}\t{text}".encode(), digest_size=8).digest() for row, text in enumerate(texts)]
    return np.frombuffer(b"".join(digests), "<u8").copy()


def _images(every: pd.DataFrame) -> dict[str, np.ndarray]:
    parts = [str(name).rpartition("@") for name in every[IMAGE_NAME]]
    numbers = [int(number) - 1 if sign and number.isdigit() else 0 for number, sign, _ in parts]
    fields = {
        "blob/path": _bytes(pd.Series([path for _, _, path in parts])),
        "blob/idx": np.array(numbers, np.uint32),
        "blob/psize_A": every[PIXEL_SIZE].to_numpy(np.float64).astype(np.float32),
    }
    if IMAGE_SIZE in every.columns:
        fields["blob/shape"] = np.repeat(every[IMAGE_SIZE].to_numpy(np.uint32)[:, None], 2, axis=1)
    return fields


def _alignments(every: pd.DataFrame) -> dict[str, np.ndarray]:
    refined = set(ANGLES) <= set(every.columns)
    if not refined and ANGLES[2] not in every.columns:
        return {}
    prefix = REFINED if refined else IN_PLANE
    if refined:
        angles = every[list(ANGLES)].to_numpy(np.float64)
        pose = Rotation.from_euler("ZYZ", angles, degrees=True).as_rotvec()
    else:
        pose = np.radians(every[ANGLES[2]].to_numpy(np.float64))
    psize = _stored_psize(every, prefix)
    fields = {f"{prefix}/pose": pose.astype(np.float32), f"{prefix}/psize_A": psize.astype(np.float32)}
    if set(ORIGINS) <= set(every.columns):
        shift = every[list(ORIGINS)].to_numpy(np.float64) / psize.astype(np.float64)[:, None]
        fields[f"{prefix}/shift"] = shift.astype(np.float32)
    for column, name in ((SUBSET, "split"), (CLASS, "class")):
        if column in every.columns:
            fields[f"{prefix}/{name}"] = (every[column].to_numpy(np.int64) - 1).astype(np.uint32)
    return fields


def _stored_psize(every: pd.DataFrame, prefix: str) -> np.ndarray:
    """Return the pixel size that shifts are counted in, (n,), as its shortest decimals say it; else the images'."""
    for label in every.columns:
        field = extra_field(label)
        if field is not None and field[0] == f"{prefix}/psize_A":
            return np.asarray(every[label], np.float64)
    return np.asarray(every[PIXEL_SIZE], np.float64)


def _bytes(column: Any) -> np.ndarray:
    return np.array([str(value).encode() for value in column], "S")
