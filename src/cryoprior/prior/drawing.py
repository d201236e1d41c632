"""Images drawn from a prior by name, folder or object: ``cryoprior.draw``."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.io.rows import row_batches
from cryoprior.prior.checkpoint import Prior, load_prior
from cryoprior.prior.denoiser import Denoiser
from cryoprior.prior.sampling import STEPS, prior_samples
from cryoprior.random import ParticleNoise

BATCH = 16


def draw(
    prior: str | Path | Denoiser = "default",
    n: int = 6,
    box: int | None = None,
    seed: int = 0,
    steps: int = STEPS,
    device: str | torch.device = "cpu",
) -> Float[Tensor, "n box box"]:
    """Return images drawn from a prior, (n, box, box), in its grey scale (mean 0, standard deviation 1).

    Image i depends on the seed and on i alone.

    Parameters
    ----------
    prior: the name or the folder of a prior, a prior that was loaded, or any denoiser.
    box: pixels a side; the smallest that the prior knows by default.
    steps: of Heun's method; a draw costs 2 steps - 1 evaluations of the network.
    device: where to compute, for a prior that is loaded here.

    Raises
    ------
    InputError: no such prior, a box that it does not know, or one that gives posterior means only.
    """
    opened = load_prior(prior, device) if isinstance(prior, str | Path) else prior
    boxes = opened.boxes if isinstance(opened, Prior) else ()
    side = box or next(iter(boxes), None)
    if side is None or (boxes and side not in boxes):
        known = f"one of {', '.join(map(str, boxes))}" if boxes else "the pixels a side that this prior knows"
        raise InputError(f"<box> {box}: expected {known}")
    if n < 1 or steps < 1:
        raise InputError(f"<n> {n}, <steps> {steps}: expected at least 1 of each")
    rows = [ParticleNoise(seed, "draw", part) for part in row_batches(n, BATCH)]
    like = [torch.empty(len(noise), side, side, device=device) for noise in rows]
    parts = [prior_samples(opened, noise.normal_like(x), steps) for noise, x in zip(rows, like, strict=True)]
    return torch.cat(parts)
