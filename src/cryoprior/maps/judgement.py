"""What a set of maps is worth: FSC of its halves, resolution, and agreement with the truth where that is known."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.shells import Shells
from cryoprior.image.soft_mask import soft_mask, sphere_mask
from cryoprior.maps.arrays import Array, volume_tensor
from cryoprior.maps.map_set import MapSet
from cryoprior.metrics.fsc import NO_RESOLUTION, FscCurves, Resolution, fsc, fsc_curves, resolution
from cryoprior.metrics.volume import VolumeCorrelation, volume_correlation

SURE = 3.0
"""Standard deviations by which the agreement of half maps must exceed that of noise."""
HALF_MAPS, FULL_MAP = 0.143, 0.5
"""The thresholds for two half maps, and for a map against a noise-free one of the same signal."""

log = logging.getLogger("cryoprior")


@dataclass(frozen=True, eq=False, repr=False)
class Truth:
    """Agreement with the true map: FSC within the mask, resolution at 0.5, correlation above the true map's level."""

    fsc: Float[Tensor, " shells"]
    resolution: Resolution
    correlation: VolumeCorrelation

    def __repr__(self) -> str:
        return f"Truth({_angstrom(self.resolution)} at 0.5, correlation {self.correlation.about_zero:.4f})"


@dataclass(frozen=True, eq=False, repr=False)
class Judgement:
    """Curves of the half maps and the resolutions they give; ``truth`` where a true map is known.

    ``resolution`` is that of the corrected curve at 0.143; all are infinite where the half maps agree no better than
    noise does. ``mask`` is the one within which the maps were compared, and ``mask_from`` says where it comes from.
    """

    curves: FscCurves
    resolution: Resolution
    resolution_05: Resolution
    unmasked: Resolution
    masked: Resolution
    truth: Truth | None
    mask: Float[Tensor, "d d d"]
    mask_from: str

    @property
    def determined(self) -> bool:
        """Whether the half maps agree better than noise does, so that there is a resolution."""
        return self.resolution.known

    def __repr__(self) -> str:
        halves = f"{_angstrom(self.resolution)} at 0.143, {_angstrom(self.resolution_05)} at 0.5"
        return f"Judgement({halves}{'' if self.truth is None else f', {self.truth!r}'})"

    def summary(self) -> dict[str, Any]:
        """Return the numbers under the names that summary.json promises."""
        summary: dict[str, Any] = {
            "determined": self.determined,
            "resolution_0143_angstrom": self.resolution.stated,
            "resolution_05_angstrom": self.resolution_05.stated,
            "nyquist_limited": self.resolution.nyquist_limited,
            "resolution_0143_unmasked_angstrom": self.unmasked.stated,
            "resolution_0143_masked_angstrom": self.masked.stated,
            "phases_randomised_from_shell": self.curves.randomised_from,
        }
        if self.truth is not None:
            summary["truth"] = {
                "fsc_05_angstrom": self.truth.resolution.stated,
                "nyquist_limited": self.truth.resolution.nyquist_limited,
                "correlation": self.truth.correlation.about_zero,
                "correlation_about_mean": self.truth.correlation.about_mean,
                "level": self.truth.correlation.level,
            }
        return summary


@dataclass(frozen=True)
class NamedMaps:
    """Maps with their judgement under the name that pages and folders give them."""

    name: str
    maps: MapSet
    judgement: Judgement


def judge_maps(maps: MapSet, mask: Array | None = None, truth: Array | None = None, seed: int = 0) -> Judgement:
    """Return what half maps are worth within a mask, and the full map against the truth where that is known.

    Parameters
    ----------
    mask: 0 to 1, (d, d, d); a soft one made from the map where None.
    truth: the true map, (d, d, d).
    seed: of the randomised phases.

    Raises
    ------
    InputError: a mask or a truth that is not on the grid of the maps.
    """
    within, mask_from = map_mask(maps) if mask is None else (volume_tensor(mask, "mask", maps.box), "given")
    curves = fsc_curves(maps.half_1, maps.half_2, within, seed)
    grid = (maps.box, maps.voxel_size_angstrom)
    found = agree_beyond_noise(curves.corrected, within)

    def reached(curve: Float[Tensor, " shells"], threshold: float) -> Resolution:
        return resolution(curve, *grid, threshold) if found else NO_RESOLUTION

    return Judgement(
        curves,
        reached(curves.corrected, HALF_MAPS),
        reached(curves.corrected, FULL_MAP),
        reached(curves.unmasked, HALF_MAPS),
        reached(curves.masked, HALF_MAPS),
        None if truth is None else _against(volume_tensor(truth, "truth", maps.box), maps, within),
        within,
        mask_from,
    )


def agree_beyond_noise(curve: Float[Tensor, " shells"], mask: Float[Tensor, "d d d"]) -> bool:
    """Return whether the FSC of two half maps, up to where it falls below 0.143, is more than noise makes it.

    The FSC of noise in a shell of N coefficients within a mask of a share f of the box deviates from 0 by
    1 / sqrt(f N). The shells are taken together, each by the inverse of that variance: the mean has to stand out by
    ``SURE`` deviations.
    """
    sizes = Shells(len(mask), mask.device).sizes()[1:] * mask.double().mean()
    values = curve.double()[1:]
    below = torch.nonzero(values < HALF_MAPS)
    last = int(below[0]) if len(below) else len(values)
    if last == 0:
        return False
    counts = sizes[:last]
    return bool((counts * values[:last]).sum() > SURE * counts.sum().sqrt())


def _against(truth: Float[Tensor, "d d d"], maps: MapSet, mask: Float[Tensor, "d d d"]) -> Truth:
    curve = fsc(maps.full * mask, truth * mask)
    at_half = resolution(curve, maps.box, maps.voxel_size_angstrom, FULL_MAP)
    return Truth(curve, at_half, volume_correlation(truth, maps.full))


def _angstrom(value: Resolution) -> str:
    if not value.known:
        return "none"
    return f"{'<= ' if value.nyquist_limited else ''}{value.angstrom:.2f} A"


def map_mask(maps: MapSet) -> tuple[Float[Tensor, "d d d"], str]:
    """Return a soft mask made from the full map, and how it was made; a sphere where no particle stands out."""
    sign = -1.0 if maps.dark else 1.0
    try:
        return soft_mask(sign * maps.full, maps.voxel_size_angstrom), "from the map"
    except InputError as error:
        log.warning("%s; a sphere is used instead", error)
        edge = max(2.0, maps.box / 16)
        return sphere_mask(maps.box, maps.box / 2 - edge - 1, edge).to(maps.full), "sphere: no particle stood out"
