"""Correlation of two maps over the voxels of the first above a level, as UCSF ChimeraX measures it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError

DEFAULT_PERCENTILE = 99.0
"""One voxel in a hundred lies above the default level, as above the first contour that ChimeraX draws."""


@dataclass(frozen=True)
class VolumeCorrelation:
    """Correlations over the ``voxels`` voxels of the first map at or above ``level``; 0 where a map has no spread."""

    about_zero: float
    about_mean: float
    level: float
    voxels: int


def default_level(a: Float[Tensor, "d d d"]) -> float:
    """Return the 99th percentile of the map's values, linear between the two nearest."""
    values = a.double().flatten().sort().values
    place = (len(values) - 1) * DEFAULT_PERCENTILE / 100
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return float(values[low] + (place - low) * (values[high] - values[low]))


def volume_correlation(
    a: Float[Tensor, "d d d"], b: Float[Tensor, "d d d"], level: float | None = None
) -> VolumeCorrelation:
    """Return the correlation of b with a over the voxels where a is at or above the level (default: its default level).

    About zero it is sum(u v) / sqrt(sum(u^2) sum(v^2)); about the mean, the means over these voxels are taken out.

    Raises
    ------
    InputError: fewer than two voxels of a at or above the level.

    Source: ``measure correlation`` of UCSF ChimeraX, both maps on one grid.
    """
    level = default_level(a) if level is None else level
    above = a >= level
    u, v = a[above].double(), b[above].double()
    if len(u) < 2:
        raise InputError(
            f"level {level:.6g}: {len(u)} voxels of the first map reach it, its values end at {float(a.max()):.6g}; "
            "expected at least 2; pass a lower <level>"
        )
    return VolumeCorrelation(_cosine(u, v), _cosine(u - u.mean(), v - v.mean()), float(level), len(u))


def _cosine(u: Float[Tensor, "n"], v: Float[Tensor, "n"]) -> float:
    norm = float(u.square().sum().sqrt() * v.square().sum().sqrt())
    return float(torch.dot(u, v)) / norm if norm > 0 else 0.0
