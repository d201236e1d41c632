"""Bare stacks (.mrcs, .mrc), lists of stacks (.txt), and cryoDRGN's poses.pkl and ctf.pkl beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cryoprior.errors import InputError
from cryoprior.io.euler import euler_of_matrix
from cryoprior.io.formats.columns import (
    ANGLES,
    IMAGE_NAME,
    IMAGE_SIZE,
    MICROSCOPE,
    ORIGINS,
    PIXEL_SIZE,
    Companions,
    Metadata,
    group_optics,
)
from cryoprior.io.mrc import MrcHeader, read_header
from cryoprior.io.pickles import read_pickle
from cryoprior.io.places import find_files


def read_stack(path: Path, companions: Companions) -> Metadata:
    """Return one row per image of a stack, or of the stacks that a .txt lists, with poses and CTF where given.

    cryoDRGN's ctf.pkl is (n, 9): box, pixel size A, defocus U and V A, angle deg, voltage kV, Cs mm, amplitude
    contrast, phase shift deg; the pixel size belongs to that box and is carried to the box of the images. Its
    poses.pkl is (rotations (n, 3, 3), shifts (n, 2) as a fraction of the box); its rotation is the transpose of
    RELION's, its shift has the sign of rlnOrigin. The pixel size of the header counts only where it is above 0 and
    no ctf.pkl is given.

    Raises
    ------
    InputError: a missing file, an empty list, pickles whose rows do not match the images, values that are not finite,
        rotations that are none, or shifts in pixels.
    """
    headers = _headers(path, companions)
    names = [f"{i + 1:06d}@{name}" for name, header in headers for i in range(header.n)]
    sizes = np.concatenate([np.full(h.n, h.voxel_size if h.voxel_size > 0 else np.nan) for _, h in headers])
    box = headers[0][1].width
    table = pd.DataFrame({IMAGE_NAME: names, IMAGE_SIZE: box, PIXEL_SIZE: np.round(sizes, 6)})
    columns = [IMAGE_SIZE, PIXEL_SIZE]
    if companions.ctf:
        _add_ctf(table, companions.ctf, path, box)
        columns = [*MICROSCOPE, *columns]
    if companions.poses:
        pixel_size = companions.pixel_size or table[PIXEL_SIZE].to_numpy(np.float64)
        _add_poses(table, companions.poses, path, box, pixel_size)
    return group_optics(table, columns)


def _headers(path: Path, companions: Companions) -> list[tuple[str, MrcHeader]]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a particle stack or a list of stacks; check the name")
    if path.suffix != ".txt":
        return [(path.name, read_header(path))]
    names = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    if not names:
        raise InputError(f"{path}: empty; expected the name of one stack a line; add them")
    files = find_files(names, path, companions.datadir)
    return [(name, read_header(file)) for name, file in zip(names, files, strict=True)]


def _add_ctf(table: pd.DataFrame, ctf: Path, path: Path, box: int) -> None:
    values = read_pickle(ctf)
    shape = getattr(values, "shape", type(values).__name__)
    if not isinstance(values, np.ndarray) or values.shape != (len(table), 9):
        raise InputError(f"{ctf}: {shape}; expected ({len(table)}, 9), one row per image of {path}")
    values = _finite(values, ctf)
    if not (values[:, :2] > 0).all():
        raise InputError(f"{ctf}: a box or pixel size of 0 or less; expected pixels and angstrom; parse the CTF again")
    table[PIXEL_SIZE] = np.round(values[:, 1] * values[:, 0] / box, 6)
    names = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", *MICROSCOPE, "rlnPhaseShift")
    for place, name in enumerate(names, 2):
        table[name] = values[:, place]


def _add_poses(table: pd.DataFrame, poses: Path, path: Path, box: int, pixel_size: float | np.ndarray) -> None:
    values = read_pickle(poses)
    rotations, shifts = values if isinstance(values, tuple | list) and len(values) == 2 else (values, None)
    shape = getattr(rotations, "shape", type(rotations).__name__)
    if not isinstance(rotations, np.ndarray) or rotations.shape != (len(table), 3, 3):
        raise InputError(f"{poses}: rotations {shape}; expected ({len(table)}, 3, 3), one per image of {path}")
    if shifts is not None and np.shape(shifts) != (len(table), 2):
        raise InputError(f"{poses}: shifts {np.shape(shifts)}; expected ({len(table)}, 2), one per image of {path}")
    angles = euler_of_matrix(_rotations(rotations, poses).transpose(0, 2, 1))
    for place, name in enumerate(ANGLES):
        table[name] = angles[:, place]
    fractions = np.zeros((len(table), 2)) if shifts is None else _fractions(np.asarray(shifts), poses)
    for place, name in enumerate(ORIGINS):
        table[name] = fractions[:, place] * box * pixel_size


def _rotations(rotations: np.ndarray, poses: Path) -> np.ndarray:
    values = _finite(rotations, poses)
    wrong = np.abs(values @ values.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2)) > 1e-3
    wrong |= np.linalg.det(values) < 0
    if wrong.any():
        raise InputError(
            f"{poses}: the rotation of particle {int(np.argmax(wrong)) + 1} is none: its rows are not at right angles, "
            "or it mirrors; expected rotation matrices; parse the poses again"
        )
    return values


def _fractions(shifts: np.ndarray, poses: Path) -> np.ndarray:
    values = _finite(shifts, poses)
    beyond = np.abs(values).max(axis=1) > 1
    if beyond.any():
        row = int(np.argmax(beyond))
        raise InputError(
            f"{poses}: the shift of particle {row + 1} is {values[row, 0]:g}, {values[row, 1]:g}; expected a fraction "
            "of the box, at most 1: these are pixels, as old versions of cryoDRGN wrote them; divide them by the box"
        )
    return values


def _finite(values: np.ndarray, file: Path) -> np.ndarray:
    """Return values as float64; InputError where they are no finite numbers."""
    if values.dtype.kind not in "fiu":
        raise InputError(f"{file}: values of type {values.dtype}; expected numbers; save them as float32")
    bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if bad.any():
        raise InputError(f"{file}: particle {int(np.argmax(bad)) + 1} has values that are not finite; parse it again")
    return values.astype(np.float64)
