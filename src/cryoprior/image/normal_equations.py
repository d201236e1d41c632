"""The least-squares map of images of known pose: a convolution to invert, seen through the box."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor

WEIGHT_FLOOR = 1e-3
"""Smoothed weights are raised to this fraction of the mean over their shell: what hardly any image saw stays small."""
SEEN = 1e-6
"""A shell whose mean weight is below this fraction of the largest was not measured; the map is 0 there."""


class NormalEquations:
    """The equations sum_i P_i' T_i^2 P_i v = sum_i P_i' T_i x_i of a map v in its box.

    Projection and back-projection along all poses is a convolution with one kernel, so the equations are Toeplitz:
    pad, convolve, cut. They are solved by conjugate gradients from the optimal circulant approximation, in which the
    weight of a frequency is the mean over all that the finite box mixes with it. Dividing voxel by voxel on the
    fine grid instead would give voxels of little weight as much say as their neighbours.

    Parameters
    ----------
    kernel: the transform of the weights, D voxels a side, lag 0 at voxel 0.
    box: voxels a side of the map, at most D / 2.

    Source: T. Chan, SIAM J. Sci. Stat. Comput. 9 (1988) 766, for the circulant.
    """

    def __init__(self, kernel: Float[Tensor, "D D D"], box: int) -> None:
        self.box, self._size = box, kernel.shape[0]
        if self._size < 2 * box:
            raise ValueError(f"a kernel of {self._size} voxels; a box of {box} needs lags of {2 * box}")
        self._weights: Tensor = torch.fft.rfftn(kernel)
        self._inverse = _circulant_inverse(kernel, box)

    def apply(self, volume: Float[Tensor, "box box box"]) -> Float[Tensor, "box box box"]:
        """Return sum_i P_i' T_i^2 P_i v."""
        size, box = (self._size,) * 3, self.box
        mixed = torch.fft.rfftn(volume, s=size) * self._weights
        convolved: Tensor = torch.fft.irfftn(mixed, s=size)
        return convolved[:box, :box, :box]

    def precondition(self, volume: Float[Tensor, "box box box"]) -> Float[Tensor, "box box box"]:
        """Return the volume divided by the smoothed weights, frequency by frequency, low-passed at Nyquist."""
        divided: Tensor = torch.fft.irfftn(self._inverse * torch.fft.rfftn(volume), s=(self.box,) * 3)
        return divided

    def solve(self, target: Float[Tensor, "box box box"], iterations: int) -> Float[Tensor, "box box box"]:
        """Return the map: the target divided by the smoothed weights, then refined by ``iterations`` steps.

        One step takes out most of the bias that the division leaves, within the particle nearly all; more fit noise.
        """
        volume = self.precondition(target)
        residual = target - self.apply(volume)
        direction = preconditioned = self.precondition(residual)
        norm = (residual * preconditioned).sum()
        for _ in range(iterations):
            image = self.apply(direction)
            curvature = (direction * image).sum()
            if not curvature > 0:
                break
            step = norm / curvature
            volume, residual = volume + step * direction, residual - step * image
            preconditioned = self.precondition(residual)
            norm, before = (residual * preconditioned).sum(), norm
            direction = preconditioned + norm / before * direction
        return volume


def _circulant_inverse(kernel: Float[Tensor, "D D D"], box: int) -> Float[Tensor, "box box half"]:
    """Return one over the eigenvalues of the optimal circulant on the rfftn grid; 0 beyond Nyquist and where unseen."""
    lag = torch.fft.fftfreq(kernel.shape[0], 1 / kernel.shape[0], dtype=kernel.dtype, device=kernel.device)
    share = (1 - lag.abs() / box).clamp_min(0)  # how often two voxels of the box have this lag
    folded = kernel
    for axis in range(3):
        folded = _fold(folded, share, axis, box)
    weights = torch.fft.rfftn(folded).real
    shell, inside = _shells(box, kernel.device)
    mean = _shell_mean(weights, shell)
    floored = torch.maximum(weights, WEIGHT_FLOOR * mean[shell])
    seen = inside & (mean > SEEN * mean.max())[shell]
    return torch.where(seen, 1 / floored.clamp_min(torch.finfo(weights.dtype).tiny), 0.0)


def _fold(kernel: Float[Tensor, "a b c"], share: Float[Tensor, "D"], axis: int, box: int) -> Float[Tensor, "x y z"]:
    """Return the kernel weighted along an axis and summed over lags that are equal modulo the box."""
    weighted = kernel * share.reshape([-1 if a == axis else 1 for a in range(3)])
    size = list(weighted.shape)
    size[axis] = box
    lags = torch.fft.fftfreq(len(share), 1 / len(share), device=kernel.device).round().long() % box
    return torch.zeros(size, dtype=kernel.dtype, device=kernel.device).index_add_(axis, lags, weighted)


def _shells(box: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the shell of every rfftn coefficient, corners in the last one, and whether it is within Nyquist."""
    axis = torch.fft.fftfreq(box, 1 / box, dtype=torch.float64, device=device).square()
    squares = axis[:, None, None] + axis[None, :, None] + axis[: box // 2 + 1]
    return squares.sqrt().round().long().clamp_max(box // 2), squares <= (box // 2) ** 2


def _shell_mean(values: Complex[Tensor, "a b c"] | Float[Tensor, "a b c"], shell: Tensor) -> Float[Tensor, "shells"]:
    flat = shell.flatten()
    total = torch.zeros(int(flat.max()) + 1, dtype=values.dtype, device=values.device)
    count = torch.zeros_like(total).index_add_(0, flat, torch.ones_like(values).flatten())
    return total.index_add_(0, flat, values.flatten()).clamp_min(0) / count
