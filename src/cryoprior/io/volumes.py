"""Volumes from files: maps that have a grid of their own, and maps and masks that must lie on a given grid."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from cryoprior.errors import InputError
from cryoprior.io.mrc import read_map

SAME_VOXEL_SIZE = 0.01
"""Voxel sizes that differ by less than this share are one: headers are rounded."""
MASK_ROUNDING = 0.01
"""By how much the values of a mask may leave 0 to 1: resampling rings."""

log = logging.getLogger("cryoprior")


def read_density(path: Path) -> tuple[Float32[np.ndarray, "d d d"], float]:
    """Return a map with density, z y x, and its voxel size in angstrom.

    Raises
    ------
    InputError: no cube, values that are not finite or all equal, a header without voxel size.
    """
    volume, voxel_size = _read_cube(path)
    _check_density(path, volume)
    if voxel_size <= 0:
        raise InputError(f"{path}: the header gives no voxel size; expected angstrom above 0; set it in the header")
    return volume, voxel_size


def read_volume(
    path: Path, box: int, voxel_size: float, grid_of: str = "the particles"
) -> Float32[np.ndarray, "d d d"]:
    """Return a map that lies on a given grid, z y x.

    A header without voxel size is taken to agree, with a warning.

    Parameters
    ----------
    box, voxel_size: voxels a side, and angstrom per voxel, of the grid.
    grid_of: whose grid it is, for messages.

    Raises
    ------
    InputError: another box, a voxel size that differs by more than 1 %, values that are not finite or all equal.
    """
    volume = _read_on_grid(path, box, voxel_size, grid_of)
    _check_density(path, volume)
    return volume


def read_mask(path: Path, box: int, voxel_size: float, grid_of: str = "the particles") -> Float32[np.ndarray, "d d d"]:
    """Return a mask, 0 to 1, that lies on a given grid; see :func:`read_volume`.

    Raises
    ------
    InputError: another box or voxel size, values beyond 0 to 1, or none above 0.
    """
    mask = _read_on_grid(path, box, voxel_size, grid_of)
    low, high = float(mask.min()), float(mask.max())
    if low < -MASK_ROUNDING or high > 1 + MASK_ROUNDING:
        raise InputError(f"{path}: values from {low:.3g} to {high:.3g}; expected a mask, 0 to 1; is it a map?")
    if high <= 0:
        raise InputError(f"{path}: no value is above 0; expected a mask that keeps some voxels; is it the right file?")
    return mask


def _read_on_grid(path: Path, box: int, voxel_size: float, grid_of: str) -> Float32[np.ndarray, "d d d"]:
    volume, stated = _read_cube(path)
    if len(volume) != box:
        raise InputError(f"{path}: {_shape(volume)} voxels; expected {box} a side, the grid of {grid_of}; resample it")
    if stated <= 0:
        log.warning("%s: its header gives no voxel size; taken as %.4f A, that of %s", path, voxel_size, grid_of)
    elif abs(stated - voxel_size) > SAME_VOXEL_SIZE * voxel_size:
        raise InputError(
            f"{path}: {stated:.4f} A a voxel; expected {voxel_size:.4f}, the grid of {grid_of}; resample it, or "
            "correct the header that is wrong"
        )
    return volume


def _read_cube(path: Path) -> tuple[Float32[np.ndarray, "d d d"], float]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a map (.mrc); check the name")
    volume, voxel_size = read_map(path)
    if len(set(volume.shape)) != 1 or len(volume) < 4:
        raise InputError(f"{path}: {_shape(volume)} voxels; expected a cube of at least 4 a side; pad it to one")
    if not np.isfinite(volume).all():
        count = int((~np.isfinite(volume)).sum())
        raise InputError(f"{path}: {count} values are NaN or infinite; expected numbers; write the map again")
    return volume, voxel_size


def _check_density(path: Path, volume: np.ndarray) -> None:
    if volume.min() == volume.max():
        raise InputError(f"{path}: every value is {volume.min():g}; expected a map with density; is it the right file?")


def _shape(volume: np.ndarray) -> str:
    return " x ".join(map(str, volume.shape))
