"""Volumes from files: maps that have a grid of their own, and maps and masks that must lie on a given grid."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from cryoprior.errors import InputError
from cryoprior.io.mrc import MrcHeader
from cryoprior.io.mrc_volumes import read_map, read_map_header

SAME_VOXEL_SIZE = 0.01
"""Voxel sizes that differ by less than this share are one: headers are rounded."""
SMALLEST = 4
"""Voxels a side of the smallest map."""
MASK_ROUNDING = 0.01
"""By how much the values of a mask may leave 0 to 1: resampling rings."""

log = logging.getLogger("cryoprior")


def read_shaped_density(path: Path) -> tuple[Float32[np.ndarray, "z y x"], float]:
    """Return a map with density of any shape, z y x, and its voxel size in angstrom.

    Raises
    ------
    InputError: values that are not finite or all equal, a header without voxel size.
    """
    volume, voxel_size = _read_finite(path)
    _check_density(path, volume)
    return volume, _stated(path, voxel_size)


def read_density(path: Path) -> tuple[Float32[np.ndarray, "d d d"], float]:
    """Return a map with density, z y x, and its voxel size in angstrom.

    Raises
    ------
    InputError: no cube, values that are not finite or all equal, a header without voxel size.
    """
    volume, voxel_size = _read_cube(path)
    _check_density(path, volume)
    return volume, _stated(path, voxel_size)


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


def warn_of_placement(first: Path, *others: Path | None) -> None:
    """Log a warning for every map whose header puts its first voxel elsewhere than that of the first map.

    Maps are compared voxel by voxel, as RELION and cryoSPARC do, whatever place in space their headers give: many
    programs write an origin that the voxels do not follow.
    """
    here = read_map_header(first)
    for path in others:
        there = here if path is None else read_map_header(path)
        apart = np.subtract(there.placement_angstrom, here.placement_angstrom)
        if np.abs(apart).max() > 0.5 * max(here.voxel_sizes):
            log.warning(
                "%s: its header puts the first voxel at %s A, that of %s lies at %s A; compared voxel by voxel, "
                "without that shift",
                *(path, _point(there.placement_angstrom), first, _point(here.placement_angstrom)),
            )


def _read_on_grid(path: Path, box: int, voxel_size: float, grid_of: str) -> Float32[np.ndarray, "d d d"]:
    shape = _cube_shape(path)
    if shape[0] != box:
        raise InputError(f"{path}: {_shape(shape)} voxels; expected {box} a side, the grid of {grid_of}; resample it")
    volume, stated = _read_cube(path)
    if stated <= 0:
        log.warning("%s: its header gives no voxel size; taken as %.4f A, that of %s", path, voxel_size, grid_of)
    elif abs(stated - voxel_size) > SAME_VOXEL_SIZE * voxel_size:
        raise InputError(
            f"{path}: {stated:.4f} A a voxel; expected {voxel_size:.4f}, the grid of {grid_of}; resample it, or "
            "correct the header that is wrong"
        )
    return volume


def _read_cube(path: Path) -> tuple[Float32[np.ndarray, "d d d"], float]:
    _cube_shape(path)
    return _read_finite(path)


def _cube_shape(path: Path) -> tuple[int, int, int]:
    """Return the voxels along z, y and x of a cube, from the header, before memory is taken."""
    shape = _header(path).volume_shape
    if len(set(shape)) != 1 or shape[0] < SMALLEST:
        found = f"{path}: {_shape(shape)} voxels"
        raise InputError(f"{found}; expected a cube of at least {SMALLEST} a side; pad it to one")
    return shape


def _read_finite(path: Path) -> tuple[Float32[np.ndarray, "z y x"], float]:
    _header(path)
    volume, voxel_size = read_map(path)
    if not np.isfinite(volume).all():
        count = int((~np.isfinite(volume)).sum())
        raise InputError(f"{path}: {count} values are NaN or infinite; expected numbers; write the map again")
    return volume, voxel_size


def _header(path: Path) -> MrcHeader:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a map (.mrc); check the name")
    return read_map_header(path)


def _stated(path: Path, voxel_size: float) -> float:
    if voxel_size <= 0:
        raise InputError(f"{path}: the header gives no voxel size; expected angstrom above 0; set it in the header")
    return voxel_size


def _check_density(path: Path, volume: np.ndarray) -> None:
    if volume.min() == volume.max():
        raise InputError(f"{path}: every value is {volume.min():g}; expected a map with density; is it the right file?")


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _point(place: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in place)
