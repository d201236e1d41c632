"""Images that a denoiser makes of noise."""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.prior.denoiser import Denoiser
from cryoprior.prior.schedule import noise_levels

STEPS = 25


@torch.no_grad()
def prior_samples(
    denoiser: Denoiser, white: Float[Tensor, "b box box"], steps: int = STEPS
) -> Float[Tensor, "b box box"]:
    """Return images that Heun's method makes of white noise: draws from the prior, in its grey scale.

    Source: Karras 2022, algorithm 1 without churn.
    """
    levels = torch.cat([noise_levels(steps, 80.0, 0.05, 7.0, torch.float32), torch.zeros(1)]).to(white)
    x = white * levels[0]
    for now, after in pairwise(levels):
        slope = (x - denoiser(x, now.expand(len(x)))) / now
        ahead = x + (after - now) * slope
        if after > 0:
            slope = (slope + (ahead - denoiser(ahead, after.expand(len(x)))) / after) / 2
        x = x + (after - now) * slope
    return x
