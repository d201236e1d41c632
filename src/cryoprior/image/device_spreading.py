"""Central slices into and out of a fine Fourier grid by torch, for devices that compiled loops do not reach."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryoprior.image.fourier_grid import FourierGrid


class Places:
    """Where the coefficients of images lie on a grid, and the eight voxels around each.

    Parameters
    ----------
    slices: what maps a frequency (x, y) of an image to a place of the grid.
    """

    def __init__(self, grid: FourierGrid, slices: Float[Tensor, "b 3 2"]) -> None:
        rows = [(ky % grid.box, kx, ky) for ky, first, last in grid.extent.tolist() for kx in range(first, last)]
        self.lines, self.columns, ky = torch.tensor(rows, device=slices.device).long().reshape(-1, 3).mT
        places = slices @ torch.stack((self.columns, ky)).to(slices)
        self.inside = places.square().sum(1) <= (grid.reach - 1) ** 2 * (1 + 1e-6)
        self.sign = torch.where(places[:, 0] < 0, -1.0, 1.0).to(places)  # the mate of negative x stands for it
        kept = places * (self.sign * self.inside)[:, None]
        low = kept.floor()
        self._far = kept - low
        self._start = low.long() + torch.tensor([0, grid.reach, grid.reach], device=slices.device)[:, None]
        self._shape = grid.shape

    def corners(self) -> Iterator[tuple[Tensor, Float[Tensor, "b k"]]]:
        """Yield the flat index of one of the eight voxels of every place, (b, k), and its share."""
        _, height, width = self._shape
        for corner in np.ndindex(2, 2, 2):
            along = [self._far[:, a] if corner[a] else 1 - self._far[:, a] for a in range(3)]
            x, y, z = (self._start[:, a] + corner[a] for a in range(3))
            yield (x * height + y) * width + z, along[0] * along[1] * along[2]


def spread_on_device(
    sums: Float[Tensor, "x y z 3"],
    grid: FourierGrid,
    transforms: Complex[Tensor, "b box half"],
    weights: Float[Tensor, "b box half"],
    slices: Float[Tensor, "b 3 2"],
) -> None:
    """Add coefficients to the eight voxels around their places, as :func:`cryoprior.image.spreading.spread` does."""
    places = Places(grid, slices)
    values = transforms[:, places.lines, places.columns]
    kept = weights[:, places.lines, places.columns].to(slices)
    held = torch.stack((values.real.to(slices), values.imag.to(slices) * places.sign, kept), 2)
    held = held * places.inside[:, :, None]
    for index, share in places.corners():
        sums.view(-1, 3).index_add_(0, index.flatten(), (share[:, :, None] * held).flatten(0, 1))


def gather_on_device(
    values: Complex[Tensor, "x y z"],
    grid: FourierGrid,
    transforms: Complex[Tensor, "b box half"],
    slices: Float[Tensor, "b 3 2"],
) -> None:
    """Read coefficients between the eight voxels around their places, as ``gather`` of the compiled loops does."""
    places = Places(grid, slices)
    found = torch.zeros(places.inside.shape, dtype=values.dtype, device=values.device)
    for index, share in places.corners():
        found += share.to(values.real) * values.flatten()[index]
    signed = torch.complex(found.real, found.imag * places.sign.to(found.real))
    transforms[:, places.lines, places.columns] = signed * places.inside
