"""The fine Fourier grid on which central slices of a volume meet: its places, and its way to and from real space."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor


@dataclass(frozen=True)
class FourierGrid:
    """A grid ``padding`` times finer than the transform of a box, x y z, half of it; see :mod:`.spreading`.

    box: pixels a side of images and volume. padding: at least 2, as in RELION.
    """

    box: int
    padding: int = 2

    @property
    def reach(self) -> int:
        """The largest index of a voxel that is read or written on purpose; corners lie one beyond."""
        return self.padding * (self.box // 2) + 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x (0 .. reach + 1), y and z (-reach .. reach + 1)."""
        side = 2 * self.reach + 2
        return self.reach + 2, side, side

    @property
    def padded(self) -> int:
        """Voxels a side in real space."""
        return self.padding * self.box

    @property
    def extent(self) -> np.ndarray:
        """The rows of an image that count, (rows, 3): ky, its first column and its last, end apart."""
        return _half_disc(self.box)

    @property
    def coefficients(self) -> int:
        """Frequencies of an image that count."""
        return int((self.extent[:, 2] - self.extent[:, 1]).sum())

    def slices(self, rotations: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b 3 2"]:
        """Return what maps a frequency (x, y) of an image to a place of the grid, float64."""
        return self.padding * rotations[:, :, :2].double()

    def to_real(self, grid: Tensor, keep: int) -> Float[Tensor, "keep keep keep"]:
        """Return the inverse transform of sums on the grid, z y x, origin at keep // 2, ``keep`` voxels a side.

        The envelope of trilinear interpolation is divided out.
        """
        padded, edge = self.padded, (self.padded - 1) // 2  # the lone Nyquist planes stay 0
        places = torch.arange(-edge, edge + 1, device=grid.device)
        wanted = torch.arange(keep, device=grid.device) - keep // 2
        inside = places + self.reach
        volume = torch.zeros(edge + 1, keep, keep, dtype=torch.complex128, device=grid.device)
        plane = torch.zeros(padded, padded, dtype=grid.dtype, device=grid.device)
        for x in range(edge + 1):
            whole = grid[x] if x else _with_mates(grid[0])
            plane[(places % padded)[:, None], places % padded] = whole[inside][:, inside]
            volume[x] = torch.fft.ifft2(plane)[wanted % padded][:, wanted % padded]
        values: Tensor = torch.fft.irfft(volume, n=padded, dim=0)[wanted % padded]
        envelope = self._envelope(wanted.to(torch.float64))
        values = values / (envelope[:, None, None] * envelope[:, None] * envelope)
        found: Tensor = values.permute(2, 1, 0).contiguous()
        return found

    def from_real(self, volume: Float[Tensor, "d d d"]) -> Complex[Tensor, "x y z"]:
        """Return the transform of a volume, z y x, centre at d // 2, on the grid: the adjoint of ``to_real``, scaled.

        Between its voxels it interpolates to the transform of the volume, unnormalised.
        """
        keep, padded, edge = len(volume), self.padded, (self.padded - 1) // 2
        wanted = torch.arange(keep, device=volume.device) - keep // 2
        envelope = self._envelope(wanted.to(volume.dtype))
        values: Tensor = volume.permute(2, 1, 0) / (envelope[:, None, None] * envelope[:, None] * envelope)
        values = values.new_zeros(padded, keep, keep).index_copy_(0, wanted % padded, values)
        values = torch.fft.rfft(values, dim=0)[: edge + 1]
        places = torch.arange(-edge, edge + 1, device=volume.device)
        for axis in (1, 2):
            size, out = list(values.shape), list(values.shape)
            size[axis], out[axis] = padded, self.shape[axis]
            full = values.new_zeros(size).index_copy_(axis, wanted % padded, values)
            values = values.new_zeros(out).index_copy_(
                axis, places + self.reach, torch.fft.fft(full, dim=axis).index_select(axis, places % padded)
            )
        grid = values.new_zeros(self.shape)
        grid[: edge + 1] = values
        return grid

    def _envelope(self, voxel: Tensor) -> Tensor:
        return torch.sinc(voxel / self.padded).square()


def _with_mates(plane: Tensor) -> Tensor:
    """Return the plane x = 0 with the mates of its places added; what lies beyond the reach stays."""
    found = plane.clone()
    found[:-1, :-1] += plane[:-1, :-1].flip(0, 1).conj()
    return found


@lru_cache(maxsize=8)
def _half_disc(box: int) -> np.ndarray:
    """Return the frequencies within Nyquist of which no two are mates, as rows of ky, first and last column.

    The origin is left out, and of an even box the lone Nyquist row and column, which stand for both signs.
    """
    edge = (box - 1) // 2
    rows = []
    for ky in range(-edge, edge + 1):
        last = min(edge, int(np.floor(np.sqrt((box // 2) ** 2 - ky**2 + 1e-9))))
        first = 0 if ky > 0 else 1
        if last >= first:
            rows.append((ky, first, last + 1))
    return np.array(rows, np.int64).reshape(-1, 3)
