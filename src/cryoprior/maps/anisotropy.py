"""How a map differs by direction: the views it was made of, and the FSC of its half maps within cones."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.maps.arrays import Array
from cryoprior.maps.judgement import HALF_MAPS, Judgement, NamedMaps
from cryoprior.maps.map_set import MapSet
from cryoprior.maps.missing_views import view_warning
from cryoprior.maps.views import ViewDistribution, view_distribution
from cryoprior.metrics.directional_fsc import TENTH, DirectionalFsc, directional_fsc, worst_and_best
from cryoprior.metrics.fsc import CORRECT_AFTER
from cryoprior.metrics.rings import shell_resolution_angstrom


@dataclass(frozen=True, eq=False)
class Anisotropy:
    """Views and FSC of a map by direction.

    worst_angstrom, best_angstrom: what a tenth of the directions do not reach, and what a tenth surpass, at 0.143.
    warning: a sentence where views are missing.
    """

    views: ViewDistribution
    fsc: DirectionalFsc
    worst_angstrom: float
    best_angstrom: float
    warning: str | None
    box: int
    voxel_size_angstrom: float

    def summary(self) -> dict[str, Any]:
        """Return the numbers under the names that summary.json promises."""
        return {
            "scf": self.views.scf,
            "unseen_share": self.views.unseen_share,
            "thin_share": self.views.thin_share,
            "slice_deg": self.views.slice_deg,
            "resolution_worst_angstrom": self.worst_angstrom if math.isfinite(self.worst_angstrom) else None,
            "resolution_best_angstrom": self.best_angstrom if math.isfinite(self.best_angstrom) else None,
            "cone_deg": self.fsc.half_angle_deg,
            "warning": self.warning,
        }

    @property
    def shell_angstrom(self) -> Float[np.ndarray, " shells"]:
        """Return the resolution of every shell; the first is infinite."""
        return shell_resolution_angstrom(self.box, self.voxel_size_angstrom).numpy()

    def table(self) -> pd.DataFrame:
        """Return by shell the lowest and highest FSC of all cones, their mean, and that of the worst and best tenth."""
        resolution = self.shell_angstrom
        curves = {
            "fsc_lowest": self.fsc.quantile(0),
            "fsc_worst_tenth": self.fsc.quantile(TENTH),
            "fsc_mean": self.fsc.mean,
            "fsc_best_tenth": self.fsc.quantile(1 - TENTH),
            "fsc_highest": self.fsc.quantile(1),
        }
        head = {
            "shell": np.arange(len(resolution)),
            "frequency_per_angstrom": 1 / resolution,
            "resolution_angstrom": resolution,
        }
        return pd.DataFrame(head | {name: curve.numpy() for name, curve in curves.items()})


def map_anisotropy(named: NamedMaps, euler_deg: Array, symmetry: str) -> Anisotropy:
    """Return how a map differs by direction, within the mask of its judgement and at its resolution.

    Every cone is corrected as the whole shells are: (FSC - r) / (1 - r), r the FSC of half maps with random phases.
    Where the map has no resolution, views are counted at that of the first shell.

    Parameters
    ----------
    euler_deg: RELION's rot, tilt and psi of its particles, (n, 3).
    symmetry: the point group that was applied.
    """
    maps, judgement = named.maps, named.judgement
    grid = (maps.box, maps.voxel_size_angstrom)
    angstrom = min(judgement.resolution.angstrom, maps.box * maps.voxel_size_angstrom)
    diameter = mask_diameter(judgement.mask) * maps.voxel_size_angstrom
    views = view_distribution(euler_deg, symmetry, angstrom, diameter)
    masked = directional_fsc(maps.half_1 * judgement.mask, maps.half_2 * judgement.mask)
    by_cone = _corrected(masked, judgement)
    worst, best = worst_and_best(by_cone.resolutions(*grid, HALF_MAPS))
    return Anisotropy(views, by_cone, worst, best, view_warning(views, symmetry, angstrom), *grid)


def missing_views(maps: MapSet, judgement: Judgement, euler_deg: Array, symmetry: str) -> bool:
    """Return whether views leave directions out, or nearly so, at the resolution of a map."""
    angstrom = min(judgement.resolution.angstrom, maps.box * maps.voxel_size_angstrom)
    diameter = mask_diameter(judgement.mask) * maps.voxel_size_angstrom
    views = view_distribution(euler_deg, symmetry, angstrom, diameter)
    return view_warning(views, symmetry, angstrom) is not None


def mask_diameter(mask: Float[Tensor, "d d d"]) -> float:
    """Return twice the distance from the centre to the farthest voxel that is at least half inside, in voxels, 1 up."""
    inside = torch.nonzero(mask >= 0.5).double() - mask.shape[0] // 2
    return 1.0 + 2 * float(inside.norm(dim=1).max()) if len(inside) else 1.0


def _corrected(masked: DirectionalFsc, judgement: Judgement) -> DirectionalFsc:
    start, random = judgement.curves.randomised_from, judgement.curves.randomised
    if start is None:
        return masked
    true = (masked.curves - random) / (1 - random).clamp_min(1e-12)
    shell = torch.arange(len(random))
    curves = torch.where(shell < start + CORRECT_AFTER, masked.curves, true)
    return dataclasses.replace(masked, curves=curves)
