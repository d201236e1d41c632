"""Images made with no prior, and what they score: a reconstruction means something only beside them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.operators import Operator
from cryoprior.random import ParticleNoise


def constant_image(original: Float[Tensor, "b box box"]) -> Float[Tensor, "b box box"]:
    """Return images that hold the original's mean in every pixel."""
    return original.mean((-2, -1), keepdim=True).expand_as(original).clone()


def radial_spectrum(stack: Iterable[Float[Tensor, "_ box box"]]) -> tuple[Float[Tensor, "box half"], float]:
    """Return the power spectrum of a stack and its mean grey value, both averaged over particles and pixels.

    The spectrum is E|X_k|^2 of the orthonormal rfft2 after the mean grey value is removed, averaged over rings, the
    corners included: an average by frequency over a few particles would still hold their own amplitudes.
    """
    power, total, n, pixels = torch.zeros(0), 0.0, 0, 1
    for images in stack:
        batch = torch.fft.rfft2(images.double(), norm="ortho").abs().square().sum(0)
        power = batch if n == 0 else power + batch
        total += float(images.double().sum())
        n, pixels = n + len(images), images.shape[-1] * images.shape[-2]
    if n == 0:
        raise ValueError("the power spectrum of an empty stack was asked for")
    mean = total / (n * pixels)
    power = power / n
    power[0, 0] = (power[0, 0] - pixels * mean**2).clamp_min(0)
    return _ring_average(power), mean


def spectrum_noise(
    spectrum: Float[Tensor, "box half"], mean: float, noise: ParticleNoise
) -> Float[Tensor, "b box box"]:
    """Return Gaussian noise of the given power spectrum and mean, drawn without any knowledge of the images.

    ``spectrum`` is E|X_k|^2 of the orthonormal rfft2, as :func:`radial_spectrum` returns it.
    """
    box = spectrum.shape[0]
    white = noise.normal_like(torch.empty(len(noise), box, box, dtype=spectrum.dtype))
    coloured = torch.fft.rfft2(white, norm="ortho") * spectrum.sqrt()
    drawn: Tensor = torch.fft.irfft2(coloured, s=(box, box), norm="ortho")
    return drawn + mean


def least_squares(
    y: Float[Tensor, "b m"], operator: Operator, particles: list[int] | None = None
) -> Float[Tensor, "b box box"]:
    """Return the least-squares image of least norm, A+ y."""
    return operator.pinv(y, particles)


def _ring_average(power: Float[Tensor, "box half"]) -> Float[Tensor, "box half"]:
    box, half = power.shape
    row = torch.fft.fftfreq(box, 1 / box, dtype=power.dtype)
    column = torch.arange(half, dtype=power.dtype)
    ring = torch.hypot(row[:, None], column[None, :]).round().long()
    rings = int(ring.max()) + 1
    total = torch.zeros(rings, dtype=power.dtype).index_add_(0, ring.flatten(), power.flatten())
    count = torch.zeros(rings, dtype=power.dtype).index_add_(0, ring.flatten(), torch.ones_like(power).flatten())
    return (total / count)[ring]
