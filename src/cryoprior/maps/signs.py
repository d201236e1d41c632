"""Contrast and hand of one map against another."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.alignment import Alignment, align
from cryoprior.image.soft_mask import soft_mask, sphere_mask
from cryoprior.image.volume_filters import crop_volume_transform

CLEARLY = 0.05
"""By how much a correlation must be higher before a map is called inverted, or of the other hand."""
COARSE_BOX = 32
MIRRORS: tuple[tuple[int, ...], ...] = ((2,), (1,), (0,), (0, 1, 2))


@dataclass(frozen=True)
class Signs:
    """What the second map looks like beside the first: correlations of coarse maps, and how well each sign fits."""

    as_is: float
    inverted: float
    other_hand: float
    alignment: Alignment | None

    @property
    def contrast(self) -> str:
        """Return ``inverted`` where the negative of the map fits clearly better."""
        return "inverted" if self.inverted > self.as_is + CLEARLY else "same"

    @property
    def hand(self) -> str:
        """Return ``flipped`` where a mirrored map fits clearly better."""
        return "flipped" if self.other_hand > max(self.as_is, self.inverted) + CLEARLY else "same"


def plain_signs(a: Tensor, b: Tensor) -> Signs:
    """Return how the second map and its mirror images correlate with the first where they lie."""
    a, b = (_coarse(v) for v in (a, b))
    as_is, mirrored = _pearson(a, b), [_pearson(a, _mirror(b, axes)) for axes in MIRRORS]
    return Signs(as_is, -as_is, max(abs(m) for m in mirrored), None)


def aligned_signs(a: Tensor, b: Tensor, voxel_size: float) -> Signs:
    """Return how the second map, its negative and its mirror images correlate with the first, each aligned to it.

    The alignment is that of the map as it is, or of its negative where that fits clearly better.
    """
    fixed = _particle(a, voxel_size)
    as_is, inverted = (align(_particle(sign * b, voxel_size), fixed) for sign in (1, -1))
    negative = inverted.correlation > as_is.correlation + CLEARLY
    best = inverted if negative else as_is
    mirrored = align(_particle(_mirror(-b if negative else b, (0,)), voxel_size), fixed)
    return Signs(as_is.correlation, inverted.correlation, mirrored.correlation, best)


def _particle(volume: Tensor, voxel_size: float) -> Tensor:
    """Return the map without its solvent, as far as a particle stands out of it; otherwise without its corners."""
    d = len(volume)
    try:
        mask = soft_mask(volume, voxel_size)
    except InputError:
        mask = sphere_mask(d, 0.4 * d, 0.1 * d).to(volume)
    return (volume - volume[mask == 0].median()) * mask


def _coarse(volume: Tensor) -> Tensor:
    return crop_volume_transform(volume.double(), min(len(volume) - len(volume) % 2, COARSE_BOX))


def _mirror(volume: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return the map mirrored about voxel d // 2."""
    return volume.flip(axes).roll([1 - len(volume) % 2] * len(axes), axes)


def _pearson(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])
