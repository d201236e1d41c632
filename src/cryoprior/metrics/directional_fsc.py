"""Fourier shell correlation by direction: that of the coefficients within a cone, for cones all over the sphere.

A map whose particles were seen from few sides is better in some directions than in others; the FSC of whole shells
is a mean that hides it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.sphere import half_sphere
from cryoprior.metrics.fsc import resolution, volume_shells

CONES, HALF_ANGLE_DEG = 150, 20.0
"""20 degrees is the cone of Tan et al. 2017; 150 of them put every direction of the sphere into about nine."""
LEAST_PAIRS = 5
"""A cone with fewer conjugate pairs of coefficients than these in a shell has no curve of its own there."""
CELLS, BLOCK = 40, 1 << 20
"""Coefficients are summed in cells of about 2 degrees first, 40 along a face of the cube, this many at a time."""
TENTH = 0.1


@dataclass(frozen=True, eq=False, repr=False)
class DirectionalFsc:
    """The curve of every cone.

    directions: axes of the cones, unit vectors xyz in the frame of the map; a direction stands for its opposite too.
    curves: (c, shells) float64; below ``first_shell`` every cone has the curve of the whole shells.
    """

    directions: Float[Tensor, "c 3"]
    curves: Float[Tensor, "c shells"]
    half_angle_deg: float
    first_shell: int

    def quantile(self, share: float) -> Float[Tensor, " shells"]:
        """Return by shell what this share of the cones stays below: 0 the lowest, 1 the highest."""
        return self.curves.quantile(share, dim=0)

    @property
    def mean(self) -> Float[Tensor, " shells"]:
        """Return the mean over the cones by shell."""
        return self.curves.mean(0)

    def resolutions(self, box: int, voxel_size_angstrom: float, threshold: float = 0.143) -> Float[Tensor, " c"]:
        """Return the resolution of every cone in angstrom, float64; see :func:`cryoprior.metrics.resolution`."""
        found = (resolution(curve, box, voxel_size_angstrom, threshold).angstrom for curve in self.curves)
        return torch.tensor(list(found), dtype=torch.float64)

    def __repr__(self) -> str:
        c, shells = self.curves.shape
        return f"DirectionalFsc({c} cones of {self.half_angle_deg:g} degrees, {shells} shells)"


def worst_and_best(resolutions_angstrom: Float[Tensor, " c"]) -> tuple[float, float]:
    """Return the resolutions that a tenth of the directions do not reach, and that a tenth surpass, in angstrom.

    Quantiles are taken of the frequencies, 1 / resolution: 0, and infinite angstrom, where a cone has no resolution.
    """
    frequency = 1 / resolutions_angstrom.double()
    worst, best = (1 / frequency.quantile(share) for share in (TENTH, 1 - TENTH))
    return float(worst), float(best)


def directional_fsc(
    a: Float[Tensor, "d d d"], b: Float[Tensor, "d d d"], cones: int = CONES, half_angle_deg: float = HALF_ANGLE_DEG
) -> DirectionalFsc:
    """Return the FSC of two maps within cones about directions spread over half of the sphere.

    A cone holds the coefficients within ``half_angle_deg`` of its axis or of the opposite of it. Shells are those of
    :func:`cryoprior.metrics.fsc`; 0 where a cone holds no power. Coefficients are summed in cells first, and a cone
    holds the cells whose centres it holds: its edge is true to about a degree. With cones of 90 degrees every curve is
    the FSC.

    Parameters
    ----------
    cones: how many.
    half_angle_deg: above 0, at most 90.

    Raises
    ------
    InputError: no cones, or an angle out of range.

    Source: Tan et al., Nat. Methods 14 (2017) 793.
    """
    if cones < 1 or not 0 < half_angle_deg <= 90:
        raise InputError(
            f"{cones} cones of {half_angle_deg:g} degrees: expected at least one <cones>, and a <half_angle_deg> above "
            "0, at most 90"
        )
    d = a.shape[0]
    axes, least = half_sphere(cones), math.cos(math.radians(half_angle_deg)) - 1e-9
    sums = _cell_sums(a, b)
    inside = (axes @ cell_centres(CELLS).T).abs() >= least
    within = torch.einsum("cn,snv->csv", inside.to(sums), sums)
    full = (within[..., 3] >= LEAST_PAIRS).all(0)
    first = d // 2 + 1 - int(full.flip(0).int().cumprod(0).sum())
    curves = _correlation(within)
    curves[:, :first] = _correlation(sums.sum(1))[:first]
    return DirectionalFsc(axes, curves, half_angle_deg, first)


def cell_centres(side: int) -> Float[Tensor, "cells 3"]:
    """Return the centres of the 3 side^2 cells of :func:`cell_of`, unit vectors xyz, float64."""
    along = torch.tan(((torch.arange(side, dtype=torch.float64) + 0.5) / side - 0.5) * (math.pi / 2))
    u, v = torch.meshgrid(along, along, indexing="ij")
    face = torch.stack((torch.ones_like(u), u, v), -1).reshape(-1, 3)
    return torch.nn.functional.normalize(torch.cat([face.roll(axis, 1) for axis in range(3)]), dim=1)


def cell_of(vectors: Float[Tensor, "n 3"], side: int) -> Int[Tensor, " n"]:
    """Return the cell of every vector xyz or of its opposite: a face of the cube, halved, and a square of equal angles.

    Three faces of side x side squares cover half of the sphere.
    """
    axis = vectors.abs().argmax(1)
    turned = vectors.gather(1, (axis[:, None] + torch.arange(3, device=vectors.device)) % 3)
    ratio = turned[:, 1:] / torch.where(turned[:, :1] == 0, 1.0, turned[:, :1])
    place = ((torch.atan(ratio) * (2 / math.pi) + 0.5) * side).long().clamp_(0, side - 1)
    return (axis * side + place[:, 0]) * side + place[:, 1]


def _cell_sums(a: Float[Tensor, "d d d"], b: Float[Tensor, "d d d"]) -> Float[Tensor, "shells cells 4"]:
    """Return Re(A B*), |A|^2, |B|^2 and 1, summed over the conjugate pairs of every shell and cell, on the CPU."""
    d, shells, cells = a.shape[0], a.shape[0] // 2 + 1, 3 * CELLS**2
    fourier_a, fourier_b = (torch.fft.rfftn(_scaled(volume)).cpu() for volume in (a, b))
    axis, column = torch.fft.fftfreq(d, 1 / d), torch.arange(shells, dtype=torch.float32)
    pairs = torch.where((column == 0) | (2 * column == d), 0.5, 1.0)  # planes that hold both members of a pair
    sums = torch.zeros(4, (shells + 1) * cells, dtype=torch.float64)
    for rows in torch.split(torch.arange(d), max(1, BLOCK // (d * shells))):
        z, y, x = torch.meshgrid(axis[rows], axis, column, indexing="ij")
        cell = cell_of(torch.stack((x, y, z), -1).reshape(-1, 3), CELLS)
        key = volume_shells(d)[rows].flatten().long() * cells + cell
        one, other = fourier_a[rows], fourier_b[rows]
        cross = one.real * other.real + one.imag * other.imag
        for total, value in zip(sums, (cross, _power(one), _power(other), torch.ones_like(cross)), strict=True):
            total += torch.bincount(key, (value * pairs).flatten().double(), minlength=len(total))
    return sums.reshape(4, shells + 1, cells)[:, :-1].permute(1, 2, 0)


def _scaled(volume: Tensor) -> Tensor:
    """Return the volume in float32 with a largest value of 1, so that no square of a coefficient is lost."""
    return (volume.double() / volume.double().abs().max().clamp_min(1e-300)).float()


def _power(fourier: Tensor) -> Tensor:
    return fourier.real.square() + fourier.imag.square()


def _correlation(sums: Float[Tensor, "*c shells 4"]) -> Float[Tensor, "*c shells"]:
    norm = (sums[..., 1] * sums[..., 2]).sqrt()
    return torch.where(norm > 0, sums[..., 0] / norm.clamp_min(1e-300), torch.zeros_like(norm))
