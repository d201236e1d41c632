"""Two maps against each other: Fourier shell correlation, correlation, contrast and hand."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from cryoprior.devices import choose_device
from cryoprior.image.alignment import Alignment, transform_volume
from cryoprior.maps.arrays import Array, volume_tensor
from cryoprior.maps.judgement import FULL_MAP, HALF_MAPS
from cryoprior.maps.signs import Signs, aligned_signs, plain_signs
from cryoprior.metrics.fsc import Resolution, fsc, resolution
from cryoprior.metrics.volume import VolumeCorrelation, volume_correlation


@dataclass(frozen=True, eq=False, repr=False)
class MapComparison:
    """What two maps share.

    fsc: within the mask where one was given, (shells,). fsc_unmasked: without it; None where none was given.
    correlation: over the voxels of the first map above its level.
    signs: contrast and hand of the second map, and its alignment where it was asked for.
    second: the second map as it was compared, that is aligned where that was asked for.
    """

    voxel_size_angstrom: float
    fsc: Float[Tensor, " shells"]
    fsc_unmasked: Float[Tensor, " shells"] | None
    correlation: VolumeCorrelation
    signs: Signs
    second: Float[Tensor, "d d d"]

    @property
    def box(self) -> int:
        """Return the voxels a side."""
        return len(self.second)

    @property
    def resolution_0143(self) -> Resolution:
        """Return where the FSC falls below 0.143, the threshold for two half maps."""
        return self._resolution(self.fsc, HALF_MAPS)

    @property
    def resolution_05(self) -> Resolution:
        """Return where the FSC falls below 0.5, the threshold for a map against the true one."""
        return self._resolution(self.fsc, FULL_MAP)

    @property
    def contrast(self) -> str:
        """Return ``inverted`` where the negative of the second map fits clearly better, else ``same``."""
        return self.signs.contrast

    @property
    def hand(self) -> str:
        """Return ``flipped`` where the mirrored second map fits clearly better, else ``same``."""
        return self.signs.hand

    @property
    def alignment(self) -> Alignment | None:
        """Return how the second map was moved; None where it was not."""
        return self.signs.alignment

    def summary(self) -> dict[str, Any]:
        """Return the numbers under the names that summary.json promises."""
        summary: dict[str, Any] = {
            "fsc_0143_angstrom": self.resolution_0143.stated,
            "fsc_05_angstrom": self.resolution_05.stated,
            "nyquist_limited": self.resolution_0143.nyquist_limited,
            "masked": self.fsc_unmasked is not None,
        }
        if self.fsc_unmasked is not None:
            summary["fsc_0143_unmasked_angstrom"] = self._resolution(self.fsc_unmasked, HALF_MAPS).stated
            summary["fsc_05_unmasked_angstrom"] = self._resolution(self.fsc_unmasked, FULL_MAP).stated
        summary |= {
            "correlation": self.correlation.about_zero,
            "correlation_about_mean": self.correlation.about_mean,
            "level": self.correlation.level,
            "voxels": self.correlation.voxels,
            "box": self.box,
            "voxel_size_angstrom": self.voxel_size_angstrom,
            "contrast": self.contrast,
            "hand": self.hand,
        }
        return summary if self.alignment is None else summary | {"alignment": self._alignment_summary(self.alignment)}

    def __repr__(self) -> str:
        shown = f"FSC 0.143 at {self.resolution_0143.angstrom:.2f} A, 0.5 at {self.resolution_05.angstrom:.2f} A"
        signs = f"contrast {self.contrast}, hand {self.hand}"
        return f"MapComparison({shown}, correlation {self.correlation.about_zero:.4f}, {signs})"

    def _resolution(self, curve: Float[Tensor, " shells"], threshold: float) -> Resolution:
        return resolution(curve, self.box, self.voxel_size_angstrom, threshold)

    def _alignment_summary(self, alignment: Alignment) -> dict[str, Any]:
        return {
            "angle_deg": alignment.angle_deg,
            "shift_angstrom": float(np.linalg.norm(alignment.shift_voxel)) * self.voxel_size_angstrom,
            "correlation": alignment.correlation,
            "correlation_of_the_other_hand": self.signs.other_hand,
            **{key: value for key, value in dataclasses.asdict(alignment).items() if key != "correlation"},
        }


def compare_maps(
    a: Array,
    b: Array,
    voxel_size: float,
    mask: Array | None = None,
    align: bool = False,
    level: float | None = None,
    device: str = "auto",
) -> MapComparison:
    """Return the comparison of two maps on one grid, as ``cryoprior compare-maps`` makes it.

    Parameters
    ----------
    a, b: maps, (d, d, d), z y x. The voxels of ``a`` above the level are correlated.
    voxel_size: angstrom.
    mask: 0 to 1, (d, d, d); both maps are multiplied with it for the FSC.
    align: turn and shift ``b`` onto ``a`` first.
    level: contour level of ``a``; its 99th percentile where None.
    device: where to compute, ``auto``, ``cpu``, ``cuda`` ...

    Raises
    ------
    InputError: maps or a mask that are no finite cubes of one box, a level that too few voxels reach.
    """
    place = choose_device(device)
    first = volume_tensor(a, "a").to(place)
    second = volume_tensor(b, "b", len(first)).to(place)
    signs = aligned_signs(first, second, voxel_size) if align else plain_signs(first, second)
    if signs.alignment is not None:
        second = transform_volume(second, signs.alignment.rotation, signs.alignment.shift_voxel)
    unmasked = masked = None
    if mask is not None:
        within = volume_tensor(mask, "mask", len(first)).to(place)
        unmasked, masked = fsc(first, second), fsc(first * within, second * within)
    curve = fsc(first, second) if masked is None else masked
    correlation = volume_correlation(first, second, level)
    shown = None if unmasked is None else unmasked.cpu()
    return MapComparison(voxel_size, curve.cpu(), shown, correlation, signs, second.cpu())
