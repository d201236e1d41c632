"""Images drawn from a prior."""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.prior.denoiser import Denoiser
from cryoprior.prior.schedule import noise_levels

STEPS = 25


def prior_samples(
    denoiser: Denoiser, box: int, count: int, generator: torch.Generator, steps: int = STEPS
) -> Float[Tensor, "count box box"]:
    """Return images drawn from the prior by Heun's method. Source: Karras 2022, algorithm 1 without churn."""
    levels = torch.cat([noise_levels(steps, 80.0, 0.05, 7.0, torch.float32), torch.zeros(1)])
    x = torch.randn(count, box, box, generator=generator) * levels[0]
    for now, after in pairwise(levels):
        slope = (x - denoiser(x, now.expand(count))) / now
        ahead = x + (after - now) * slope
        if after > 0:
            slope = (slope + (ahead - denoiser(ahead, after.expand(count))) / after) / 2
        x = x + (after - now) * slope
    return x
