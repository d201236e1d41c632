"""How many Fourier coefficients of a shell noise moves together, because it fills a part of the box only."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.metrics.fsc import volume_shell_sums, volume_shells

WIDEST = 1 / 8
"""Distance, in boxes, up to which coefficients are taken to be correlated; what lies beyond is the scatter of n^2."""


def correlated_coefficients(noise: Float[Tensor, "d d d"], other: Float[Tensor, "d d d"] | None = None) -> float:
    """Return by how much the coefficients of a shell outnumber the independent ones, at least 1.

    That is for the product of two independent noises like the one given, or of one with another map.

    Noise of variance w(r) has the correlation C, the transform of w, between coefficients at distance D. A product
    summed over a shell of thickness 1 varies as if the shell had 1 / Q as many coefficients, Q the sum over D of C(D)
    C'(D) h(|D|) / (C(0) C'(0)); h is the share of a thin shell that lies at distance D from a point of it within the
    shell, over all directions: 1 - D / 2 up to D = 1, 1 / (2 D) beyond. w is read from the noise itself, n^2, all
        shells brought to one power first.
    """
    d = noise.shape[-1]
    weights = [_whitened(volume).square() for volume in (noise, noise if other is None else other)]
    first, second = (torch.fft.rfftn(w) / w.sum() for w in weights)
    share = first.real * second.real + first.imag * second.imag
    axis = torch.fft.fftfreq(d, 1 / d, dtype=torch.float64, device=noise.device).square()
    column = torch.arange(d // 2 + 1, dtype=torch.float64, device=noise.device)
    distance = (axis[:, None, None] + axis[None, :, None] + column.square()).sqrt()
    within = torch.where(distance <= 1, 1 - distance / 2, 1 / (2 * distance.clamp_min(1)))
    within[distance > max(2.0, WIDEST * d)] = 0.0
    counted = 1 + (column > 0).double()
    return max(1.0, float((share * within * counted).sum()))


def _whitened(noise: Float[Tensor, "d d d"]) -> Float[Tensor, "d d d"]:
    """Return the noise with one power in all shells; nothing of shell 0 and of the corners."""
    d = noise.shape[-1]
    fourier = torch.fft.rfftn(noise.double())
    sizes = volume_shell_sums(torch.ones_like(fourier.real))
    power = volume_shell_sums(fourier.real.square() + fourier.imag.square()) / sizes
    scale = torch.where(power > 0, power.clamp_min(1e-300).rsqrt(), torch.zeros_like(power))
    scale[0] = 0.0
    scale = torch.cat([scale, scale.new_zeros(1)])[volume_shells(d, noise.device).long()]
    white: Tensor = torch.fft.irfftn(fourier * scale, s=(d, d, d))
    return white
