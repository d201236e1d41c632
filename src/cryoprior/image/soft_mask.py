"""Soft masks: a sphere, and the particle as it stands out of its own map."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.volume_filters import lowpass_volume

FINEST_LOWPASS_ANGSTROM = 15.0
FINEST_LOWPASS_VOXELS = 5.0
COARSEST_LOWPASS_BOXES = 1 / 6
SOLVENT_DEVIATIONS = 3.0
"""How far above the solvent, in its deviations, a threshold must lie."""
PARTICLE_SHARE = 0.4
WHOLE = 0.99
"""Of a mask: what is taken for 1."""
SMALLEST_PART = 0.1
"""Parts of less than this share of the largest are taken for noise."""


def soft_mask(
    volume: Float[Tensor, "d d d"],
    voxel_size_angstrom: float,
    lowpass_angstrom: float | None = None,
    extend_voxel: float = 3.0,
    edge_voxel: float = 6.0,
) -> Float[Tensor, "d d d"]:
    """Return a mask, 1 over the particle and 0 in the solvent, with a cosine edge, in the map's type.

    The map is low-passed and cut where it has risen by 0.4 of the way from the solvent, which is the map beyond 0.45 of
    the box, to the particle, which is the mean of what lies above the cut; but no lower than three deviations of the
    solvent. The largest part and those of at least a tenth of it are kept, holes are filled, and the outline is moved
    outwards before it falls to 0. Otsu's and Li's thresholds, which know no solvent, cut through noise instead where
    the particle fills a few hundredths of a noisy box.

    Parameters
    ----------
    volume: the map, z y x, the particle brighter than the solvent.
    voxel_size_angstrom: angstrom per voxel.
    lowpass_angstrom: by default 15 angstrom or five voxels, whichever is coarser, and coarser still by steps until
        the particle stands three deviations out of the solvent.
    extend_voxel: how far the outline is moved outwards.
    edge_voxel: over how many voxels the mask falls from 1 to 0.

    Raises
    ------
    InputError: no particle stands out, or the mask leaves no voxel of the box at 0.
    """
    inside = _particle(volume, voxel_size_angstrom, lowpass_angstrom)
    outside_by = ndimage.distance_transform_edt(~ndimage.binary_fill_holes(inside))
    mask = _fall(torch.from_numpy(outside_by), extend_voxel, edge_voxel)
    if float(mask.min()) > 0:
        raise InputError(
            f"mask of a box of {len(mask)}: no voxel is left out of it; expected solvent about the particle; "
            "pass a map in a larger box, a narrower edge, or a mask of your own"
        )
    return mask.to(volume)


def cut_share(mask: Float[Tensor, "d d d"], volume: Float[Tensor, "d d d"], voxel_size_angstrom: float) -> float:
    """Return the share of the particle's own voxels where a mask is below 1/2; 0 where no particle stands out.

    The particle is what :func:`soft_mask` finds in the map, not widened: a mask that is meant to hold it cuts nothing.
    """
    try:
        inside = _particle(volume, voxel_size_angstrom, None)
    except InputError:
        return 0.0
    return float((inside & (mask.cpu().numpy() < 0.5)).sum() / inside.sum())


def widened_mask(mask: Float[Tensor, "d d d"], extend_voxel: float, edge_voxel: float) -> Float[Tensor, "d d d"]:
    """Return a mask that is 1 wherever the given one is, and so many voxels farther, before it falls to 0.

    Raises
    ------
    InputError: a mask that is nowhere 1.
    """
    inside = (mask >= WHOLE).cpu().numpy()
    if not inside.any():
        raise InputError(f"mask of a box of {len(mask)}: nowhere 1; expected a mask from 0 to 1; scale it")
    outside_by = ndimage.distance_transform_edt(~inside)
    return _fall(torch.from_numpy(outside_by), extend_voxel, edge_voxel).to(mask)


def sphere_mask(box: int, radius_voxel: float, edge_voxel: float = 6.0) -> Float[Tensor, "box box box"]:
    """Return a sphere about voxel box // 2, 1 up to the radius, falling to 0 by a cosine over the edge beyond it."""
    axis = (torch.arange(box, dtype=torch.float64) - box // 2).square()
    return _fall((axis[:, None, None] + axis[None, :, None] + axis).sqrt(), radius_voxel, edge_voxel)


def _particle(volume: Float[Tensor, "d d d"], voxel_size: float, lowpass: float | None) -> Bool[np.ndarray, "d d d"]:
    """Return the voxels of the particle: parts of the low-passed map above a threshold that is clear of the solvent."""
    d = volume.shape[-1]
    solvent = sphere_mask(d, 0.45 * d, 0.0).numpy() == 0
    tried = _lowpasses(d * voxel_size, voxel_size) if lowpass is None else [lowpass]
    for resolution in tried:
        smooth = lowpass_volume(volume.double().cpu(), voxel_size, resolution).numpy()
        middle = np.median(smooth[solvent])
        deviation = 1.4826 * np.median(np.abs(smooth[solvent] - middle))  # of a normal distribution
        floor = middle + SOLVENT_DEVIATIONS * deviation
        threshold = _threshold(smooth, middle, floor)
        parts = _large_parts(smooth > max(threshold, floor), (resolution / voxel_size) ** 3)
        if parts.any() and (threshold >= floor or resolution == tried[-1]):
            return parts
    raise InputError(
        f"mask of a box of {d}: nothing stands out of the solvent at {tried[-1]:.0f} angstrom; expected a particle "
        "brighter than its surroundings; check the contrast, or pass a mask of your own"
    )


def _threshold(smooth: Float[np.ndarray, "d d d"], middle: float, floor: float) -> float:
    """Return the level at a share of the way from the solvent to the mean of what lies above that level."""
    level = floor
    for _ in range(50):
        above = smooth[smooth > level]
        if len(above) == 0:
            break
        level, before = middle + PARTICLE_SHARE * (float(above.mean()) - middle), level
        if np.isclose(level, before, rtol=1e-4, atol=0):
            break
    return level


def _large_parts(inside: Bool[np.ndarray, "d d d"], smallest: float) -> Bool[np.ndarray, "d d d"]:
    """Return the connected parts of at least a tenth of the largest, none where that is smaller than ``smallest``."""
    parts, count = ndimage.label(inside)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    if sizes.max(initial=0) < smallest:
        return np.zeros_like(inside)
    return np.isin(parts, 1 + np.flatnonzero(sizes >= SMALLEST_PART * sizes.max()))


def _lowpasses(edge: float, voxel_size: float) -> list[float]:
    """Return the low-passes to try in angstrom, each 1.25 times as coarse as the last."""
    finest = max(FINEST_LOWPASS_ANGSTROM, FINEST_LOWPASS_VOXELS * voxel_size)
    steps = int(max(0.0, np.log(edge * COARSEST_LOWPASS_BOXES / finest) / np.log(1.25)))
    return [finest * 1.25**step for step in range(steps + 1)]


def _fall(distance: Float[Tensor, "..."], start: float, edge: float) -> Float[Tensor, "..."]:
    """Return 1 up to a distance, then a cosine that reaches 0 after ``edge`` more."""
    if edge <= 0:
        return (distance <= start).double()
    return 0.5 * (1 + torch.cos(torch.pi * ((distance - start) / edge).clamp(0, 1)))
