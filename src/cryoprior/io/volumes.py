"""Maps from files that must lie on the grid of particles or of another map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from cryoprior.errors import InputError
from cryoprior.io.mrc import read_map


def read_volume(path: Path, box: int, voxel_size: float, what: str) -> Float32[np.ndarray, "d d d"]:
    """Return a map that must lie on the grid of another.

    Raises
    ------
    InputError: another box or voxel size, values that are not finite.
    """
    volume, size = read_map(path)
    if volume.shape != (box, box, box):
        found = " x ".join(map(str, volume.shape))
        raise InputError(f"{what} {path}: {found} voxels; expected {box} a side, as the particles have; resample it")
    if size > 0 and abs(size - voxel_size) > 0.01 * voxel_size:
        raise InputError(
            f"{what} {path}: {size:.4f} A a voxel; expected {voxel_size:.4f}, as the particles have; resample it"
        )
    if not np.isfinite(volume).all():
        raise InputError(f"{what} {path}: values that are not finite; expected numbers; write the map again")
    return volume
