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
from cryoprior.io.images import find_file
from cryoprior.io.mrc import MrcHeader, read_header
from cryoprior.io.pickles import read_pickle


def read_stack(path: Path, companions: Companions) -> Metadata:
    """Return one row per image of a stack, or of the stacks that a .txt lists, with poses and CTF where given.

    cryoDRGN's ctf.pkl is (n, 9): box, pixel size A, defocus U and V A, angle deg, voltage kV, Cs mm, amplitude
    contrast, phase shift deg; the pixel size belongs to that box and is carried to the box of the images. Its
    poses.pkl is (rotations (n, 3, 3), shifts (n, 2) as a fraction of the box); its rotation is the transpose of
    RELION's, its shift has the sign of rlnOrigin. The pixel size of the header counts only where it is above 0 and
    no ctf.pkl is given.

    Raises
    ------
    InputError: a missing file, an empty list, or pickles whose rows do not match the images.
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
    return [(name, read_header(find_file(name, path, companions.datadir))) for name in names]


def _add_ctf(table: pd.DataFrame, ctf: Path, path: Path, box: int) -> None:
    values = read_pickle(ctf)
    shape = getattr(values, "shape", type(values).__name__)
    if not isinstance(values, np.ndarray) or values.shape != (len(table), 9):
        raise InputError(f"{ctf}: {shape}; expected ({len(table)}, 9), one row per image of {path}")
    values = values.astype(np.float64)
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
    angles = euler_of_matrix(rotations.transpose(0, 2, 1))
    for place, name in enumerate(ANGLES):
        table[name] = angles[:, place]
    for place, name in enumerate(ORIGINS):
        table[name] = 0.0 if shifts is None else np.asarray(shifts, np.float64)[:, place] * box * pixel_size
