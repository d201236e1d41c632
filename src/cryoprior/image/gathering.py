"""Central slices read from a fine Fourier grid, trilinear, compiled: the adjoint of :mod:`.spreading`.

The grid holds z, y from -reach to reach and x from 0 to reach, x first: half of a transform that is Hermitian, a
plane more where a corner of the last point lies. Slices are read slab by slab along x, all images of a batch in one
slab before the next, so that what is read stays in the cache of the processor.
"""

from __future__ import annotations

from functools import partial
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryoprior.image.compiled import compiled, threaded
from cryoprior.image.fourier_grid import FourierGrid

SLAB_PLANES = 8
"""Planes of a slab: of 1, 2, 4, 8, 16 and all about the fastest at 64, 128 and 256 pixels."""


def gather(
    values: Complex[Tensor, "x y z"],
    grid: FourierGrid,
    transforms: Complex[Tensor, "b box half"],
    slices: Float[Tensor, "b 3 2"],
) -> None:
    """Write to ``transforms`` what lies on the grid at the places of their coefficients.

    Parameters
    ----------
    values: on the grid. transforms: on the rfft2 grid, written where a place lies within Nyquist.
    slices: what maps a frequency (x, y) of an image to a place of the grid.
    """
    slabs, threads = np.arange(-(-(grid.reach + 1) // SLAB_PLANES)), torch.get_num_threads()
    arrays = [array.contiguous().numpy() for array in (values, transforms, slices)]
    parts = (slabs[first::threads] for first in range(threads))
    threaded([partial(_gather, *arrays, grid.extent, grid.reach, SLAB_PLANES, part) for part in parts])


@no_type_check
@compiled()
def _columns(along: float, start: float, low: float, high: float, first: int, last: int) -> tuple[int, int]:
    """Return the columns c of first .. last, end apart, for which start + c along can lie within low .. high."""
    if abs(along) < 1e-9:
        return (first, last) if low - 1e-3 <= start <= high + 1e-3 else (first, first)
    a, b = (low - start) / along, (high - start) / along
    a, b = min(a, b) - 1e-3, max(a, b) + 1e-3
    if b < first or a >= last:
        return first, first
    return max(first, int(np.ceil(a))), min(last, int(np.floor(b)) + 1)


@no_type_check
@compiled()
def _place(x, y, z, mirrored, limit, first_plane, last_plane):
    """Return whether a place counts here, its sign, the voxel below it and how far it lies beyond that voxel.

    A place of negative x stands for its mate. It counts where it is ``mirrored`` or not as asked, lies within Nyquist
    and in the planes.
    """
    sign = -1.0 if x < 0 else 1.0
    x, y, z = sign * x, sign * y, sign * z
    ix, iy, iz = int(x), int(np.floor(y)), int(np.floor(z))
    here = (sign < 0) == mirrored and x * x + y * y + z * z <= limit and first_plane <= ix < last_plane
    return here, sign, ix, iy, iz, x - ix, y - iy, z - iz


@no_type_check
@compiled(fastmath={"contract", "nsz"})
def _gather(grid, transforms, slices, extent, reach, planes, slabs):
    """Read coefficients between the eight voxels around their places in these slabs: the adjoint of spreading.

    Parameters
    ----------
    grid: (reach + 2, 2 reach + 2, 2 reach + 2) complex, x y z.
    transforms: (b, box, half) complex, written where a place lies in one of the slabs.
    extent: (rows, 3): ky, and the first and last column, end apart, that are read of it.
    """
    box, limit = transforms.shape[1], (reach - 1.0) ** 2 * (1 + 1e-6)
    for slab in slabs:
        first_plane, last_plane = slab * planes, min((slab + 1) * planes, reach + 1)
        for image in range(transforms.shape[0]):
            along, across = slices[image, :, 0], slices[image, :, 1]
            for row in range(extent.shape[0]):
                ky = extent[row, 0]
                line, x0, y0, z0 = ky % box, across[0] * ky, across[1] * ky, across[2] * ky
                for mirrored in (False, True):
                    low, high = (-last_plane, -first_plane) if mirrored else (first_plane, last_plane)
                    begin, end = _columns(along[0], x0, low, high, extent[row, 1], extent[row, 2])
                    for k in range(begin, end):
                        x, y, z = x0 + along[0] * k, y0 + along[1] * k, z0 + along[2] * k
                        here, sign, ix, iy, iz, fx, fy, fz = _place(x, y, z, mirrored, limit, first_plane, last_plane)
                        if not here:
                            continue
                        iy, iz, re, im = iy + reach, iz + reach, 0.0, 0.0
                        for dx in range(2):
                            sx = fx if dx else 1.0 - fx
                            for dy in range(2):
                                share = sx * (fy if dy else 1.0 - fy)
                                near, far = grid[ix + dx, iy + dy, iz], grid[ix + dx, iy + dy, iz + 1]
                                re += share * ((1.0 - fz) * near.real + fz * far.real)
                                im += share * ((1.0 - fz) * near.imag + fz * far.imag)
                        transforms[image, line, k] = complex(re, sign * im)
