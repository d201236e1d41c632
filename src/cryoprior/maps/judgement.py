"""What a set of maps is worth: FSC of its halves, resolution, and agreement with the truth where that is known."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.density import is_dark
from cryoprior.image.soft_mask import soft_mask, sphere_mask
from cryoprior.io import read_map
from cryoprior.metrics.fsc import FscCurves, Resolution, fsc, fsc_curves, resolution
from cryoprior.metrics.volume import VolumeCorrelation, volume_correlation
from cryoprior.stages.map_making import MapSet

HALF_MAPS, FULL_MAP = 0.143, 0.5
"""The thresholds for two half maps, and for a map against a noise-free one of the same signal."""

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class Truth:
    """Agreement with the true map: FSC within the mask, resolution at 0.5, correlation above the true map's level."""

    fsc: Float[Tensor, " shells"]
    resolution: Resolution
    correlation: VolumeCorrelation


@dataclass(frozen=True)
class Judgement:
    """Curves of the half maps and the resolutions they give; ``truth`` where a true map is known.

    ``resolution`` is that of the corrected curve at 0.143.
    """

    curves: FscCurves
    resolution: Resolution
    resolution_05: Resolution
    unmasked: Resolution
    masked: Resolution
    truth: Truth | None

    def summary(self) -> dict[str, Any]:
        """Return the numbers under the names that summary.json promises."""
        found: dict[str, Any] = {
            "resolution_0143_angstrom": self.resolution.angstrom,
            "resolution_05_angstrom": self.resolution_05.angstrom,
            "nyquist_limited": self.resolution.nyquist_limited,
            "resolution_0143_unmasked_angstrom": self.unmasked.angstrom,
            "resolution_0143_masked_angstrom": self.masked.angstrom,
            "phases_randomised_from_shell": self.curves.randomised_from,
        }
        if self.truth is not None:
            found["truth"] = {
                "fsc_05_angstrom": self.truth.resolution.angstrom,
                "nyquist_limited": self.truth.resolution.nyquist_limited,
                "correlation": self.truth.correlation.about_zero,
                "correlation_about_mean": self.truth.correlation.about_mean,
                "level": self.truth.correlation.level,
            }
        return found


def judge(
    maps: MapSet, mask: Float[Tensor, "d d d"], truth: Float[Tensor, "d d d"] | None = None, seed: int = 0
) -> Judgement:
    """Return the judgement of half maps within a mask, and of the full map against the truth."""
    curves = fsc_curves(maps.half_1, maps.half_2, mask, seed)
    grid = (maps.box, maps.voxel_size_angstrom)
    known = None
    if truth is not None:
        curve = fsc(maps.full * mask, truth * mask)
        correlation = volume_correlation(truth, maps.full)
        known = Truth(curve, resolution(curve, *grid, FULL_MAP), correlation)
    return Judgement(
        curves,
        resolution(curves.corrected, *grid, HALF_MAPS),
        resolution(curves.corrected, *grid, FULL_MAP),
        resolution(curves.unmasked, *grid, HALF_MAPS),
        resolution(curves.masked, *grid, HALF_MAPS),
        known,
    )


def read_volume(path: Path, box: int, voxel_size: float, what: str) -> Float[Tensor, "d d d"]:
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
    tensor = torch.from_numpy(volume)
    if not bool(torch.isfinite(tensor).all()):
        raise InputError(f"{what} {path}: values that are not finite; expected numbers; write the map again")
    return tensor


def map_mask(maps: MapSet) -> tuple[Float[Tensor, "d d d"], str]:
    """Return a soft mask made from the full map, and how it was made; a sphere where no particle stands out."""
    sign = -1.0 if is_dark(maps.full, maps.voxel_size_angstrom) else 1.0
    try:
        return soft_mask(sign * maps.full, maps.voxel_size_angstrom), "from the map"
    except InputError as error:
        log.warning("%s; a sphere is used instead", error)
        edge = max(2.0, maps.box / 16)
        return sphere_mask(maps.box, maps.box / 2 - edge - 1, edge).to(maps.full), "sphere: no particle stood out"
