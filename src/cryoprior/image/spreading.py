"""Central slices added to a fine Fourier grid, trilinear, compiled: the inner loops of every map.

The grid holds z, y from -reach to reach and x from 0 to reach, x first: half of a transform that is Hermitian, a
plane more where a corner of the last point lies. The coefficients of many images are sorted by bricks of the grid and
then added brick by brick, so that what is added to stays in the cache of the processor: 2.3 times as fast at 64 pixels
and 4 times at 128 as one image after the other. Every voxel gets its addends in one order, whatever the number of
threads: within a brick by image, slabs of bricks of even number before those of odd number, which share no plane with
each other.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryoprior.image.compiled import compiled, threaded
from cryoprior.image.fourier_grid import FourierGrid

BRICK = (8, 16)
"""Voxels of a brick along x and y, all along z: of 4, 8 by 8, 16, 32 and all about the fastest at 64 and 128 pixels."""


def spread(
    sums: Float[Tensor, "x y z 3"],
    grid: FourierGrid,
    transforms: Complex[Tensor, "b box half"],
    weights: Float[Tensor, "b box half"],
    slices: Float[Tensor, "b 3 2"],
) -> None:
    """Add coefficients to the eight voxels around their places.

    Parameters
    ----------
    sums: contiguous float64: real part, imaginary part and weight of every voxel.
    transforms, weights: on the rfft2 grid.
    slices: what maps a frequency (x, y) of an image to a place of the grid; those beyond Nyquist are left out.
    """
    values, held, turns = (array.contiguous().numpy() for array in (transforms, weights, slices))
    across = -(-grid.shape[1] // BRICK[1])
    slabs = -(-grid.shape[0] // BRICK[0])
    edges = np.linspace(0, len(values), torch.get_num_threads() + 1).astype(int)
    parts = [slice(first, end) for first, end in pairwise(edges)]
    counts = np.zeros((len(parts), slabs * across), np.int64)
    shape = (grid.extent, grid.reach, *BRICK, across)
    threaded([partial(_count, turns[part], *shape, count) for part, count in zip(parts, counts, strict=True)])
    ends = counts.T.cumsum().reshape(-1, len(parts)).T
    starts = ends - counts
    total = int(counts.sum())
    index, numbers = np.empty(total, np.uint32), np.empty((total, 6), values.real.dtype)
    threaded(
        [
            partial(_sort, values[part], held[part], turns[part], *shape, start.copy(), index, numbers)
            for part, start in zip(parts, starts, strict=True)
        ]
    )
    first = starts[0, ::across].tolist()
    ranges = list(zip(first, [*first[1:], total], strict=True))
    flat = sums.view(-1).numpy()
    for turn in (ranges[::2], ranges[1::2]):
        threaded([partial(_add, flat, index, numbers, grid.shape[1], *each) for each in turn])


@no_type_check
@compiled()
def _place(along, start, k, reach, limit):
    """Return whether column k of a row counts, the sign of its mate that does, and where that one lies.

    A place of negative x stands for its mate.
    """
    x, y, z = start[0] + along[0] * k, start[1] + along[1] * k, start[2] + along[2] * k
    sign = -1.0 if x < 0 else 1.0
    return x * x + y * y + z * z <= limit, sign, sign * x, sign * y + reach, sign * z + reach


@no_type_check
@compiled(fastmath={"contract", "nsz"})
def _count(slices, extent, reach, planes, lines, across, counts):
    """Count the coefficients of every brick.

    Parameters
    ----------
    slices: (b, 3, 2). extent: (rows, 3): ky, and the first and last column, end apart, that are added of it.
    planes, lines: of a brick along x and y. across: bricks along y.
    """
    limit = (reach - 1.0) ** 2 * (1 + 1e-6)
    for image in range(slices.shape[0]):
        along = (slices[image, 0, 0], slices[image, 1, 0], slices[image, 2, 0])
        for row in range(extent.shape[0]):
            ky = extent[row, 0]
            start = (slices[image, 0, 1] * ky, slices[image, 1, 1] * ky, slices[image, 2, 1] * ky)
            for k in range(extent[row, 1], extent[row, 2]):
                here, _, x, y, _ = _place(along, start, k, reach, limit)
                if here:
                    counts[int(x) // planes * across + int(y) // lines] += 1


@no_type_check
@compiled(fastmath={"contract", "nsz"})
def _sort(numerators, weights, slices, extent, reach, planes, lines, across, places, index, numbers):
    """Write every coefficient where its brick has room.

    Parameters
    ----------
    places: where the next coefficient of each brick is written.
    index: voxel below the place, flat. numbers: real and imaginary part, weight, and how far the place lies beyond that
        voxel along x, y, z.
    """
    limit, side, box = (reach - 1.0) ** 2 * (1 + 1e-6), 2 * reach + 2, numerators.shape[1]
    for image in range(slices.shape[0]):
        along = (slices[image, 0, 0], slices[image, 1, 0], slices[image, 2, 0])
        for row in range(extent.shape[0]):
            ky = extent[row, 0]
            line = ky % box
            start = (slices[image, 0, 1] * ky, slices[image, 1, 1] * ky, slices[image, 2, 1] * ky)
            for k in range(extent[row, 1], extent[row, 2]):
                here, sign, x, y, z = _place(along, start, k, reach, limit)
                if not here:
                    continue
                ix, iy, iz = int(x), int(y), int(z)
                brick = ix // planes * across + iy // lines
                at = places[brick]
                places[brick] = at + 1
                value = numerators[image, line, k]
                index[at] = (ix * side + iy) * side + iz
                numbers[at, 0], numbers[at, 1], numbers[at, 2] = value.real, sign * value.imag, weights[image, line, k]
                numbers[at, 3], numbers[at, 4], numbers[at, 5] = x - ix, y - iy, z - iz


@no_type_check
@compiled(fastmath={"contract", "nsz"})
def _add(sums, index, numbers, side, begin, end):
    """Add sorted coefficients to their eight voxels; indices without a sign spare a look at each."""
    line, plane = np.uint64(3 * side), np.uint64(3 * side * side)
    for i in range(begin, end):
        re, im, w = float(numbers[i, 0]), float(numbers[i, 1]), float(numbers[i, 2])
        fx, fy, fz = float(numbers[i, 3]), float(numbers[i, 4]), float(numbers[i, 5])
        first = np.uint64(3) * np.uint64(index[i])
        for dx in range(2):
            sx = fx if dx else 1.0 - fx
            for dy in range(2):
                share = sx * (fy if dy else 1.0 - fy)
                near, far = share * (1.0 - fz), share * fz
                at = first + np.uint64(dx) * plane + np.uint64(dy) * line
                sums[at] += near * re
                sums[at + np.uint64(1)] += near * im
                sums[at + np.uint64(2)] += near * w
                sums[at + np.uint64(3)] += far * re
                sums[at + np.uint64(4)] += far * im
                sums[at + np.uint64(5)] += far * w
