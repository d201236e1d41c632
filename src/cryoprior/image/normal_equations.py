"""The normal equations of a map of images of known pose: a convolution, seen through the box."""

from __future__ import annotations

from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

CHUNK_BYTES = 1 << 22
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
    """

    def __init__(self, kernel: Float[Tensor, "D D D"], box: int, seen: Bool[Tensor, " shells"] | None = None) -> None:
        self.box, self.kernel = box, kernel
        every = torch.ones(box // 2 + 1, dtype=torch.bool, device=kernel.device)
        self.seen: Bool[Tensor, " shells"] = every if seen is None else seen
        if kernel.shape[0] < 2 * box:
            raise ValueError(f"a kernel of {kernel.shape[0]} voxels; a box of {box} needs lags of {2 * box}")

    @cached_property
    def support(self) -> Float[Tensor, "box box box"]:
        """1 within half a box of the centre and 0 beyond: where a map may be."""
        return support_sphere(self.box, self.kernel.device)

    @cached_property
    def eigenvalues(self) -> Float[Tensor, "box box half"]:
        """What plane waves cut to the sphere weigh, v' W v / v' v, on the rfftn grid, not negative.

        The weight of a frequency is the mean over all that the sphere mixes with it. How often two voxels of the
        sphere have a lag is taken from that of two balls, in closed form.
        """
        return self._weighed(self.box)

    @cached_property
    def density(self) -> Float[Tensor, "box box half"]:
        """What waves cut to a ball of a fourth of the sphere's size weigh: how densely a direction was seen at all.

        Gaps between single slices are closed, and missing views stay missing.
        """
        return self._weighed(self.box / 4)

    def _weighed(self, diameter: float) -> Float[Tensor, "box box half"]:
        size, box = len(self.kernel), self.box
        lag = torch.fft.fftfreq(size, 1 / size, dtype=self.kernel.dtype, device=self.kernel.device)
        squares, places = (lag / diameter).square(), lag.round().long() % box
        folded = self.kernel.new_zeros((box,) * 3)
        for row in range(size):
            apart = (squares[row] + squares[:, None] + squares).clamp_max(1).sqrt_()
            shared = self.kernel[row] * (1 - 1.5 * apart + 0.5 * apart**3)
            wide = shared.new_zeros(box, size).index_add_(0, places, shared)
            folded[places[row]] += shared.new_zeros(box, box).index_add_(1, places, wide)
        values: Tensor = torch.fft.rfftn(folded).real.clamp_min(0)
        return values

    @cached_property
    def _weights(self) -> Float[Tensor, "half D D"]:
        """The transform of the kernel, columns first; the kernel is even, so it is real."""
        weights: Tensor = torch.fft.rfftn(self.kernel).real.float().permute(2, 0, 1).contiguous()
        return weights

    def __add__(self, other: NormalEquations) -> NormalEquations:
        """Return the equations of the images of both."""
        return NormalEquations(self.kernel + other.kernel, self.box, self.seen | other.seen)

    def apply(self, volume: Float[Tensor, "box box box"]) -> Float[Tensor, "box box box"]:
        """Return sum_i P_i' T_i^2 P_i v, in the map's type.

        The transform of the padded map is never held whole: columns are padded and cut a few at a time.
        """
        size, box = len(self.kernel), self.box
        columns = torch.fft.rfft(volume, n=size, dim=2).permute(2, 0, 1).contiguous()
        together = max(1, CHUNK_BYTES // (size * size * columns.element_size()))
        for first in range(0, len(columns), together):
            some = slice(first, first + together)
            padded = torch.fft.fft2(columns[some], s=(size, size))
            padded *= self._weights[some]
            columns[some] = torch.fft.ifft2(padded)[:, :box, :box]
        convolved: Tensor = torch.fft.irfft(columns.permute(1, 2, 0).contiguous(), n=size, dim=2)
        return convolved[:, :, :box].contiguous()

    def halved(self) -> NormalEquations:
        """Return the equations of the map of half the box and twice the voxel, at low frequencies the same."""
        size, box = len(self.kernel), self.box // 2
        rows = torch.fft.fftfreq(size // 2, 2 / size, device=self.kernel.device).round().long() % size
        low = self._weights[: size // 4 + 1][:, rows][:, :, rows].permute(1, 2, 0).to(self.kernel)
        return NormalEquations(torch.fft.irfftn(low, s=(size // 2,) * 3), box, self.seen[: box // 2 + 1])


def support_sphere(box: int, device: torch.device | str = "cpu") -> Float[Tensor, "box box box"]:
    """Return 1 within half a box of its centre, box // 2, and 0 beyond, as RELION cuts its maps, float64."""
    axis = torch.arange(box, dtype=torch.float64, device=device) - box // 2
    squares = axis[:, None, None].square() + axis[:, None].square() + axis.square()
    return (squares <= (box / 2) ** 2).double()
