"""Central slices into and out of a fine Fourier grid, trilinear, compiled: the inner loops of every map.

The grid holds z, y from -reach to reach and x from 0 to reach, x first: half of a transform that is Hermitian, a
plane more where a corner of the last point lies. Slices are worked off slab by slab along x, all images of a batch in
one slab before the next, so that what is added to stays in the cache of the processor. Every voxel gets its addends in
one order, whatever the number of threads: slabs of even number first, then those of odd number, which share no plane
with each other.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, no_type_check

import numpy as np
import torch
from numba import njit

SLAB_PLANES = 8
"""Planes of a slab: of 1, 2, 4, 8, 16 and all about the fastest at 64, 128 and 256 pixels."""


def compiled(**flags: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that compiles a function, and keeps the result on disk where a folder can be written."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            found: Callable[..., Any] = njit(nogil=True, cache=True, **flags)(function)
        except RuntimeError:  # neither the package nor the user has such a folder
            found = njit(nogil=True, **flags)(function)
        return found

    return wrap


def over_slabs(kernel: Callable[..., None], reach: int, *arrays: Any, shared: bool = True) -> None:
    """Run a kernel over all slabs of a grid with as many threads as torch uses.

    shared: whether slabs beside each other write to one plane.
    """
    slabs = np.arange(-(-(reach + 1) // SLAB_PLANES))
    turns = (slabs[::2], slabs[1::2]) if shared else (slabs,)
    threads = torch.get_num_threads()
    if threads == 1:
        for turn in turns:
            kernel(*arrays, reach, SLAB_PLANES, turn)
        return
    with ThreadPoolExecutor(threads) as pool:
        for turn in turns:
            parts = [turn[first::threads] for first in range(threads)]
            for done in [pool.submit(kernel, *arrays, reach, SLAB_PLANES, part) for part in parts]:
                done.result()


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
def spread(sums, numerators, weights, slices, extent, reach, planes, slabs):
    """Add coefficients to the eight voxels around their places in these slabs.

    Parameters
    ----------
    sums: flat, of a grid (reach + 2, side, side, 3) float64, x y z, side = 2 reach + 2: real part, imaginary part and
        weight of every voxel.
    numerators, weights: (b, box, half) on the rfft2 grid, complex and real.
    slices: (b, 3, 2), what maps a frequency (x, y) of an image to a place of the grid.
    extent: (rows, 3): ky, and the first and last column, end apart, that are added of it.
    """
    box, side, limit = numerators.shape[1], 2 * reach + 2, (reach - 1.0) ** 2 * (1 + 1e-6)
    for slab in slabs:
        first_plane, last_plane = slab * planes, min((slab + 1) * planes, reach + 1)
        for image in range(numerators.shape[0]):
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
                        value, first = numerators[image, line, k], 3 * ((ix * side + iy + reach) * side + iz + reach)
                        re, im, w = float(value.real), sign * float(value.imag), float(weights[image, line, k])
                        for dx in range(2):
                            sx = fx if dx else 1.0 - fx
                            for dy in range(2):
                                share = sx * (fy if dy else 1.0 - fy)
                                near, far, at = share * (1.0 - fz), share * fz, first + 3 * (dx * side + dy) * side
                                sums[at] += near * re
                                sums[at + 1] += near * im
                                sums[at + 2] += near * w
                                sums[at + 3] += far * re
                                sums[at + 4] += far * im
                                sums[at + 5] += far * w


@no_type_check
@compiled(fastmath={"contract", "nsz"})
def gather(grid, transforms, slices, extent, reach, planes, slabs):
    """Read coefficients between the eight voxels around their places in these slabs: the adjoint of spreading.

    Parameters
    ----------
    grid: (reach + 2, 2 reach + 2, 2 reach + 2) complex, x y z.
    transforms: (b, box, half) complex, written where a place lies in one of the slabs.
    slices, extent: as in :func:`spread`.
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
