"""What a set of maps is worth: FSC of its halves, resolution, and agreement with the truth where that is known."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.density import is_dark
from cryoprior.image.soft_mask import soft_mask, sphere_mask
from cryoprior.maps.making import MapSet
from cryoprior.metrics.fsc import FscCurves, Resolution, fsc, fsc_curves, resolution
from cryoprior.metrics.volume import VolumeCorrelation, volume_correlation

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


def map_mask(maps: MapSet) -> tuple[Float[Tensor, "d d d"], str]:
    """Return a soft mask made from the full map, and how it was made; a sphere where no particle stands out."""
    sign = -1.0 if is_dark(maps.full, maps.voxel_size_angstrom) else 1.0
    try:
        return soft_mask(sign * maps.full, maps.voxel_size_angstrom), "from the map"
    except InputError as error:
        log.warning("%s; a sphere is used instead", error)
        edge = max(2.0, maps.box / 16)
        return sphere_mask(maps.box, maps.box / 2 - edge - 1, edge).to(maps.full), "sphere: no particle stood out"
