"""From sums on RELION's padded Fourier grid to its map: iterated gridding weights, window, envelope.

The sums are those of central slices, spread trilinearly: a numerator and weights on the half grid of ``padding`` times
the box, in the order of the FFT. The map is RELION's own, grey scale and all.

Sources: Pipe & Menon, Sampling density compensation in MRI (1999), Eq. 14, for the iterated weights; Matej & Lewitt,
3D-FRP (2001), for the kernel; Scheres, RELION (2012), for the term of the signal's power. It is the algorithm of
``relion_external_reconstruct`` 3.1, agreement with which is tested.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

ITERATIONS = 10
"""Of the gridding weights, RELION's number."""
BLOB_RADIUS, BLOB_ALPHA = 3.8, 15.0
"""The kernel's radius in voxels of the padded transform, whatever the padding, and its taper."""
TABLE_STEP = 0.5 / 10000
"""Of the frequency, in RELION's table of the kernel's transform; there is none from 1/2 on."""
SMALLEST = 1e-6
EDGE_VOXELS = 3.0
"""Over how many voxels the corners beyond the sphere fall to their mean."""


def gridded_map(
    numerator: Complex[Tensor, "p p half"],
    weight: Float[Tensor, "p p half"],
    box: int,
    current_size: int,
    padding: float,
    inverse_power: Float[Tensor, " shells"] | None = None,
) -> Float[Tensor, "box box box"]:
    """Return the map of sums on RELION's padded grid, z y x, centre at box // 2, float64.

    Parameters
    ----------
    numerator, weight: on the half grid of the padded transform, z and y from 0 over the largest to -1.
    box: voxels a side of the map. current_size: twice the shell up to which there are sums.
    padding: voxels of the grid for one of the map's transform.
    inverse_power: what is added to the weights by shell 0 .. box // 2, for a Wiener filter; None divides by the weights
        alone. Infinity sets a shell to 0.
    """
    reach = round(padding * (current_size // 2))
    data, sums, radius = _within(numerator, weight, reach)
    inside = radius < reach
    if inverse_power is not None:
        shell = (radius / padding + 0.5).long().clamp_max(len(inverse_power) - 1)  # halves go up, as in RELION
        added = inverse_power.to(sums)[shell]
        inside = inside & torch.isfinite(added)
        sums = sums + torch.where(inside, added, torch.zeros_like(added))
    data = data * _gridding_weights(sums * inside, inside, box * padding)
    return _finished(data, box, padding)


def _within(
    numerator: Complex[Tensor, "p p half"], weight: Float[Tensor, "p p half"], reach: int
) -> tuple[Complex[Tensor, "s s h"], Float[Tensor, "s s h"], Float[Tensor, "s s h"]]:
    """Return the sums on the grid that holds the sphere and a rim, and the distance from the origin in voxels."""
    side = 2 * reach + 3  # RELION's own; on a faster one the iteration differs where weights are steep
    axis = torch.fft.fftfreq(side, 1 / side, dtype=torch.float64, device=weight.device).square()
    columns = torch.arange(side // 2 + 1, dtype=torch.float64, device=weight.device).square()
    radius = (axis[:, None, None] + axis[:, None] + columns).sqrt()
    return (
        _resized(numerator.to(torch.complex128), side, reach),
        _resized(weight.double(), side, reach),
        radius,
    )


def _resized(grid: Tensor, side: int, reach: int) -> Tensor:
    """Return a half grid with another number of voxels a side; what lies beyond the reach, or the grid, is 0."""
    edge = min(reach, (len(grid) - 1) // 2, (side - 1) // 2)
    places = torch.arange(-edge, edge + 1, device=grid.device)
    out = grid.new_zeros(side, side, side // 2 + 1)
    old, new = places % len(grid), places % side
    out[new[:, None], new, : edge + 1] = grid[old[:, None], old, : edge + 1]
    return out


def _gridding_weights(
    sums: Float[Tensor, "s s h"], inside: Bool[Tensor, "s s h"], padded: float
) -> Float[Tensor, "s s h"]:
    """Return what the numerator is multiplied with: weights whose convolution with the kernel is one everywhere."""
    side = len(sums)
    axis = torch.fft.fftfreq(side, 1 / side, dtype=torch.float64).square()
    distance = (axis[:, None, None] + axis[:, None] + axis).sqrt()
    # RELION scales distances by the padded box, whatever the side of its array, and takes the kernel from a table
    kernel = _blob_transform((distance / padded / TABLE_STEP).floor() * TABLE_STEP).to(sums.device)
    found = inside.double()
    for _ in range(ITERATIONS):
        smooth = torch.fft.rfftn(torch.fft.irfftn((found * sums).to(torch.complex128), s=(side,) * 3) * kernel)
        found = torch.where(inside, found / smooth.abs().clamp_min(SMALLEST), found)
    return found


def _blob_transform(frequency: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return the transform of the Kaiser-Bessel kernel of order 0 in three dimensions, 1 at the origin, 0 from 1/2 on.

    Source: Lewitt, Multidimensional digital image representations using generalized Kaiser-Bessel window functions
    (1990), Eq. A3: Bessel functions of order 3/2, which are elementary.
    """
    squared = BLOB_ALPHA**2 - (2 * math.pi * BLOB_RADIUS * frequency).square()
    root = squared.abs().sqrt().clamp_min(1e-3)
    values = torch.where(
        squared > 0, torch.cosh(root) - torch.sinh(root) / root, torch.sin(root) / root - torch.cos(root)
    )
    most = math.cosh(BLOB_ALPHA) - math.sinh(BLOB_ALPHA) / BLOB_ALPHA
    return torch.where(frequency < 0.5, values / root.square() * BLOB_ALPHA**2 / most, torch.zeros_like(root))


def _finished(data: Complex[Tensor, "s s h"], box: int, padding: float) -> Float[Tensor, "box box box"]:
    """Return the inverse transform within the box, its corners at their mean, divided by the trilinear envelope."""
    padded = round(padding * box)
    padded += padded % 2
    full = _resized(data, padded, padded)
    wide = torch.fft.irfftn(full, s=(padded,) * 3, norm="forward") / (padding**3 * box)
    wanted = torch.arange(box, device=data.device) - box // 2
    places = wanted % padded
    volume = wide[places][:, places][:, :, places]
    radius = (wanted[:, None, None].square() + wanted[:, None].square() + wanted.square()).double().sqrt()
    solvent = 0.5 - 0.5 * torch.cos(torch.pi * ((radius - box / 2) / EDGE_VOXELS).clamp(0, 1))
    volume = volume * (1 - solvent) + solvent * (solvent * volume).sum() / solvent.sum()
    found: Tensor = volume / torch.sinc(radius / (box * padding)).square()
    return found
