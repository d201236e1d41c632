"""From where particles were seen, and which directions of the map's transform that leaves unmeasured.

An image is a slice through the transform of the map, perpendicular to the direction of view. A direction in Fourier
space is measured by every view perpendicular to it. A view and its opposite give the same slice; a symmetric particle
is seen from all mates of a view at once. The CTF and the images' noise are not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.projection import slice_matrices
from cryoprior.image.sphere import half_sphere
from cryoprior.image.symmetry import point_group
from cryoprior.maps.arrays import Array, pose_angles
from cryoprior.random import numpy_stream

DIRECTIONS = 1000
"""Directions on half of the sphere, 4.5 degrees apart."""
MOST_VIEWS = 20_000
"""Of more views, mates among them, so many are drawn: each direction is then measured by hundreds, if by any."""
SCF_RADIUS = 50
"""Fourier radius, in Fourier pixels, of the sphere on which the SCF is measured: that of its authors' program."""
LEAST_VIEWS = 2 * SCF_RADIUS
"""With fewer, not every direction of that sphere could be measured, and there is no SCF."""
SMALLEST_BAND, WIDEST_BAND, VIEWS_IN_BAND = math.sin(math.radians(6)), math.sin(math.radians(15)), 25
SMALLEST_CAP, WIDEST_CAP, VIEWS_IN_CAP = 1 - math.cos(math.radians(5)), 1 - math.cos(math.radians(20)), 8
"""Bands and caps are as wide as it takes for even views to leave so many in each: chance alone leaves none empty."""
THIN = 0.2
"""A direction is thinly measured with less than this share of what even views would give it."""
BLOCK = 1 << 10


@dataclass(frozen=True, eq=False, repr=False)
class ViewDistribution:
    """How views, with their mates, lie on the sphere, and how they measure the directions of Fourier space.

    n: particles. views: their directions with all mates, (v, 3), unit vectors xyz in the frame of the map; a random
    part where there are very many.
    directions: (m, 3), spread evenly over half of the sphere; each stands for its opposite too.
    density: views about each direction, over what even views would give; ``cap_deg`` is the radius of the caps.
    sampling: the same of the views perpendicular to each direction within ``band_deg``.
    scf: the sampling compensation factor, 1 for even views; None with fewer than 100 views.
    unseen_share: the share of directions that no view measured at the resolution; ``slice_deg`` is half of the angle
    that a slice covers there.
    """

    n: int
    views: Float[Tensor, "v 3"]
    directions: Float[Tensor, "m 3"]
    density: Float[Tensor, " m"]
    sampling: Float[Tensor, " m"]
    cap_deg: float
    band_deg: float
    scf: float | None
    unseen_share: float
    slice_deg: float

    @property
    def thin(self) -> Bool[Tensor, " m"]:
        """Return which directions have less than a fifth of what even views would give them, (m,) bool."""
        return self.sampling < THIN

    @property
    def thin_share(self) -> float:
        """Return the share of those."""
        return float(self.thin.double().mean())

    def __repr__(self) -> str:
        scf = "no SCF" if self.scf is None else f"SCF {self.scf:.2f}"
        return f"ViewDistribution({self.n} particles, {scf}, {self.unseen_share:.1%} of Fourier directions unseen)"


def view_directions(euler_deg: Float[np.ndarray, "n 3"]) -> Float[Tensor, "n 3"]:
    """Return the direction of view of every (rot, tilt, psi) in the frame of the map, unit vectors xyz, float64.

    It is the third column of the pose: what :func:`cryoprior.image.projection.slice_matrices` makes of the image's
    normal.
    """
    return slice_matrices(torch.from_numpy(np.array(euler_deg, np.float64)))[:, :, 2]


def view_distribution(
    euler_deg: Array,
    symmetry: str = "C1",
    resolution_angstrom: float = 10.0,
    diameter_angstrom: float = 200.0,
) -> ViewDistribution:
    """Return how views lie on the sphere, and what they leave unmeasured.

    The slice of a particle of diameter D is about 1 / D thick: at resolution d it covers directions within
    asin(d / 2D) of its plane. With SCF* a direction without a view counts as one with two, in a mean that only
    the others divide, as in its authors' program; so it falls as particles are added and the gap stays.

    Parameters
    ----------
    euler_deg: RELION's rot, tilt and psi, (n, 3).
    symmetry: point group about RELION's axes.
    resolution_angstrom: where ``unseen_share`` is counted, above 0.
    diameter_angstrom: of the particle, above 0.

    Raises
    ------
    InputError: no poses, misshapen ones, a length that is not above 0, an unknown point group.

    Source: Baldwin and Lyumkis, Prog. Biophys. Mol. Biol. 150 (2020) 160, for the SCF; 160 (2021) 53, for its count.
    """
    euler = pose_angles(euler_deg)
    if not len(euler):
        raise InputError("euler_deg without rows: expected one pose per particle")
    for name, length in (("resolution", resolution_angstrom), ("diameter", diameter_angstrom)):
        if not 0 < length < math.inf:
            raise InputError(f"{name}_angstrom {length:g}: expected angstrom above 0; pass <{name}_angstrom>")
    group = point_group(symmetry)
    total = len(euler) * len(group)
    kept = max(1, min(len(euler), MOST_VIEWS // len(group)))
    rows = np.sort(numpy_stream(0, "maps/views").permutation(len(euler))[:kept])
    views = torch.einsum("gij,nj->gni", group, view_directions(euler[rows])).flatten(0, 1)
    band = max(SMALLEST_BAND, min(WIDEST_BAND, VIEWS_IN_BAND / len(views)))
    cap = max(SMALLEST_CAP, min(WIDEST_CAP, VIEWS_IN_CAP / len(views)))
    slices = min(1.0, resolution_angstrom / (2 * diameter_angstrom))
    directions = half_sphere(DIRECTIONS)
    counted, sampled, seen, near = _counts(views, directions, (0.5 / SCF_RADIUS, band, slices), 1 - cap).double()
    return ViewDistribution(
        n=len(euler),
        views=views,
        directions=directions,
        density=near / (cap * len(views)),
        sampling=sampled / (band * len(views)),
        cap_deg=math.degrees(math.acos(1 - cap)),
        band_deg=math.degrees(math.asin(band)),
        scf=None if total < LEAST_VIEWS else sampling_compensation(counted * (total / len(views))),
        unseen_share=float((seen == 0).double().mean()),
        slice_deg=math.degrees(math.asin(slices)),
    )


def sampling_compensation(counts: Float[Tensor, " m"]) -> float:
    """Return SCF* of the number of views that measure each of directions spread evenly, above 0, at most 1.

    1 / SCF* = mean(count) / share * mean(1 / count), share that of directions with a view, 1 / count = 1/2 without.
    """
    seen = counts > 0
    share = float(seen.double().mean())
    inverse = torch.where(seen, 1 / counts.clamp_min(1e-12), 0.5)
    return min(1.0, share / float(counts.mean() * inverse.mean()))


def _counts(
    views: Float[Tensor, "v 3"], directions: Float[Tensor, "m 3"], bands: Sequence[float], nearer: float
) -> Float[Tensor, "k m"]:
    """Return how many views lie within each band about perpendicular (sines), and within a cap (cosine)."""
    counts = torch.zeros(len(bands) + 1, len(directions))
    across = directions.T.float()
    for some in torch.split(views.float(), BLOCK):
        cosine = (some @ across).abs_()
        one = torch.ones(1, len(some))
        counts += torch.cat(
            [one @ inside.float() for inside in (*(cosine <= band for band in bands), cosine >= nearer)]
        )
    return counts
