"""The mean image of a prior: what it answers when nothing was seen, and what is left of the spectrum about it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.image.spectrum import power_spectrum
from cryoprior.random import ParticleNoise

NOISE, DRAWS = 40.0, 4
"""Noise beside which no image of variance 1 can be seen, and how many draws of it are asked about, each with its
negative, so that all that is linear in the noise cancels."""
LEAST_SHARE = 0.05
"""Share of a frequency's power that is left to what varies about the mean image, however strong the mean."""


def answer_to_nothing(
    denoised: Callable[[Float[Tensor, "b box box"], Float[Tensor, "b"]], Float[Tensor, "b box box"]],
    box: int,
    like: Tensor,
) -> Float[Tensor, "box box"]:
    """Return E[x0] of a prior, averaged over rings around box // 2: its denoiser's answer to noise alone.

    Particles are seen from anywhere and turned anyhow, so that their mean image is a radial one.
    """
    white = ParticleNoise(0, "mean-image", range(DRAWS)).normal_like(like.new_empty(DRAWS, box, box))
    x = NOISE * torch.cat([white, -white])
    with torch.no_grad():
        mean = denoised(x, x.new_full((len(x),), NOISE)).double().mean(0)
    return radial_image(mean).to(like)


def radial_image(image: Float[Tensor, "box box"]) -> Float[Tensor, "box box"]:
    """Return the image averaged over rings around box // 2, a pixel wide."""
    box = image.shape[-1]
    axis = torch.arange(box, device=image.device) - box // 2
    ring = torch.hypot(*torch.meshgrid(axis.to(image), axis.to(image), indexing="ij")).round().long()
    count = torch.bincount(ring.flatten()).to(image)
    total = torch.zeros_like(count).index_add_(0, ring.flatten(), image.flatten())
    return (total / count)[ring]


def power_about(power: Float[Tensor, "box half"], mean: Float[Tensor, "box box"]) -> Float[Tensor, "box half"]:
    """Return E|X - M|^2 by frequency from E|X|^2 and the mean image, at least a twentieth of E|X|^2."""
    return torch.maximum(power - power_spectrum(mean[None]).to(power), LEAST_SHARE * power)
