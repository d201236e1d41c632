"""The normal equations of a map of images of known pose: a convolution, seen through the box."""

from __future__ import annotations

from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

CHUNK_BYTES = 1 << 26
"""Bytes of the padded columns that are transformed at a time."""


class NormalEquations:
    """sum_i P_i' T_i^2 P_i v of a map v in its box.

    Projection and back-projection along all poses is a convolution with one kernel, so the equations are Toeplitz:
    pad, convolve, cut.

    Parameters
    ----------
    kernel: the transform of the weights, D voxels a side, lag 0 at voxel 0.
    box: voxels a side of the map, at most D / 2.
    seen: which shells 0 .. box // 2 any image measured; all where None.

    Source: T. Chan, SIAM J. Sci. Stat. Comput. 9 (1988) 766, for the circulant of the box.
    """

    def __init__(self, kernel: Float[Tensor, "D D D"], box: int, seen: Bool[Tensor, " shells"] | None = None) -> None:
        self.box, self.kernel = box, kernel
        every = torch.ones(box // 2 + 1, dtype=torch.bool, device=kernel.device)
        self.seen: Bool[Tensor, " shells"] = every if seen is None else seen
        if kernel.shape[0] < 2 * box:
            raise ValueError(f"a kernel of {kernel.shape[0]} voxels; a box of {box} needs lags of {2 * box}")

    def __add__(self, other: NormalEquations) -> NormalEquations:
        """Return the equations of the images of both."""
        return NormalEquations(self.kernel + other.kernel, self.box, self.seen | other.seen)

    @cached_property
    def _weights(self) -> Float[Tensor, "D D half"]:
        weights: Tensor = torch.fft.rfftn(self.kernel).real.float()  # the kernel is even
        return weights

    def apply(self, volume: Float[Tensor, "box box box"]) -> Float[Tensor, "box box box"]:
        """Return sum_i P_i' T_i^2 P_i v, in the map's type.

        The transform of the padded map is never held whole: columns along z and y are padded and cut a few at a time.
        """
        size, box = len(self.kernel), self.box
        columns = torch.fft.rfft(volume, n=size, dim=2)
        together = max(1, CHUNK_BYTES // (size * size * columns.element_size()))
        for first in range(0, columns.shape[2], together):
            some = slice(first, first + together)
            padded = torch.fft.fft2(columns[:, :, some], s=(size, size), dim=(0, 1))
            columns[:, :, some] = torch.fft.ifft2(padded * self._weights[:, :, some], dim=(0, 1))[:box, :box]
        convolved: Tensor = torch.fft.irfft(columns, n=size, dim=2)
        return convolved[:, :, :box].contiguous()

    def eigenvalues(self, support: Float[Tensor, "box box box"]) -> Float[Tensor, "box box half"]:
        """Return what plane waves cut to a support weigh, v' W v / v' v, on the rfftn grid, not negative.

        The weight of a frequency is the mean over all that the support mixes with it. For the whole box these are the
        eigenvalues of the optimal circulant.
        """
        size, box = len(self.kernel), self.box
        within = torch.fft.rfftn(support.to(self.kernel), s=(size,) * 3)
        shared = torch.fft.irfftn(within.abs().square(), s=(size,) * 3)  # how often two of its voxels have a lag
        folded = self.kernel * (shared / shared[0, 0, 0])
        lags = torch.fft.fftfreq(size, 1 / size, device=folded.device).round().long() % box
        for axis in range(3):
            shape = list(folded.shape)
            shape[axis] = box
            folded = folded.new_zeros(shape).index_add_(axis, lags, folded)
        values: Tensor = torch.fft.rfftn(folded).real.clamp_min(0)
        return values

    def halved(self) -> NormalEquations:
        """Return the equations of the map of half the box and twice the voxel, at low frequencies the same."""
        size, box = len(self.kernel), self.box // 2
        transform = torch.fft.rfftn(self.kernel).real
        rows = torch.fft.fftfreq(size // 2, 2 / size, device=transform.device).round().long() % size
        low = transform[rows][:, rows, : size // 4 + 1]
        return NormalEquations(torch.fft.irfftn(low, s=(size // 2,) * 3), box, self.seen[: box // 2 + 1])
