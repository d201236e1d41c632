"""Whether the columns of a .cs file that are read here have the shape, the kind and the range that cryoSPARC writes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from cryoprior.errors import InputError
from cryoprior.io.cryosparc.alignments import IN_PLANE, MULTI
from cryoprior.io.cryosparc.fields import PLAIN

NUMBER, WHOLE, TEXT = "numbers", "whole numbers from 0", "texts"
KINDS = {NUMBER: "fiu", WHOLE: "iu", TEXT: "SU"}
SHAPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "uid": (WHOLE, ()),
    "blob/path": (TEXT, ()),
    "blob/idx": (WHOLE, ()),
    "blob/shape": (WHOLE, (2,)),
    "blob/psize_A": (NUMBER, ()),
    "ctf/exp_group_id": (WHOLE, ()),
    "ctf/shift_A": (NUMBER, (2,)),
    "ctf/tilt_A": (NUMBER, (2,)),
    "ctf/trefoil_A": (NUMBER, (2,)),
    "ctf/tetra_A": (NUMBER, (4,)),
    "ctf/anisomag": (NUMBER, (4,)),
    "location/micrograph_path": (TEXT, ()),
}
SHAPES |= {name: (NUMBER, ()) for name, _ in PLAIN.values()}
_ALIGNED = re.compile(r"(alignments3D|alignments2D|alignments_class_\d+)/(\w+)")
_OF_POSE: dict[str, tuple[str, tuple[int, ...]]] = {
    "pose": (NUMBER, (3,)),
    "shift": (NUMBER, (2,)),
    "psize_A": (NUMBER, ()),
    "class_posterior": (NUMBER, ()),
    "split": (WHOLE, ()),
    "class": (WHOLE, ()),
}
DEFOCUS = "ctf/df1_A"
TRANSFER = ("ctf/df2_A", "ctf/df_angle_rad", "ctf/accel_kv", "ctf/cs_mm", "ctf/amp_contrast")
"""What cryoSPARC writes beside a defocus; without one of them the contrast transfer function is not known."""
SMALLEST_PIXEL, LARGEST_PIXEL = 1e-3, 1e5
"""Angstrom."""


def check_columns(path: Path, rows: np.ndarray) -> None:
    """Raise InputError for the first column that is not what cryoSPARC writes under its name.

    Checked are the columns that are read: their kind, their shape, that all values are finite, that pixel sizes are
    lengths, that a defocus has the rest of its transfer function beside it, and that a uid stands in one row alone.
    """
    names = rows.dtype.names or ()
    for name in names:
        kind, shape = _expected(name)
        if kind:
            _check(path, name, rows[name], kind, shape)
        elif name.startswith(f"{MULTI}/") and rows[name].dtype.kind == "f":
            _check_finite(path, name, rows[name])
    for name in (n for n in names if n.endswith("psize_A")):
        strange = (rows[name] < SMALLEST_PIXEL) | (rows[name] > LARGEST_PIXEL)
        if strange.any():
            row = int(np.argmax(strange.reshape(len(rows), -1).any(axis=1)))
            raise InputError(
                f"{path}: particle {row + 1} has {name} {rows[name][row]:g}; expected angstrom per pixel; correct it"
            )
    missing = [name for name in TRANSFER if name not in names]
    if DEFOCUS in names and missing:
        raise InputError(f"{path}: {DEFOCUS} without {', '.join(missing)}; expected all of them; export it again")
    if "uid" in names and len(np.unique(rows["uid"])) < len(rows):
        raise InputError(f"{path}: a uid stands in two rows; expected each once; remove the double particles")


def _expected(name: str) -> tuple[str, tuple[int, ...]]:
    match = _ALIGNED.fullmatch(name)
    if match is None:
        return SHAPES.get(name, ("", ()))
    return (NUMBER, ()) if match[1] == IN_PLANE and match[2] == "pose" else _OF_POSE.get(match[2], ("", ()))


def _check(path: Path, name: str, values: np.ndarray, kind: str, shape: tuple[int, ...]) -> None:
    found = "x".join(map(str, values.shape[1:])) or "one"
    if values.dtype.kind not in KINDS[kind] or values.shape[1:] != shape:
        expected = f"{kind}, {'x'.join(map(str, shape)) or 'one'} a particle"
        raise InputError(
            f"{path}: {name} of type {values.dtype.str}, {found} a particle; expected {expected}; export it again"
        )
    if kind == WHOLE and values.dtype.kind == "i" and (values < 0).any():
        row = int(np.argmax((values < 0).reshape(len(values), -1).any(axis=1)))
        raise InputError(f"{path}: particle {row + 1} has {name} {values[row]}; expected {WHOLE}; export it again")
    if kind == NUMBER:
        _check_finite(path, name, values)


def _check_finite(path: Path, name: str, values: np.ndarray) -> None:
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise InputError(
            f"{path}: particle {row + 1} has {name} {values[row]}; expected finite numbers; leave it out, or "
            "export the particles again"
        )
