"""Whether images are those that were measured: the measurements themselves say so."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.io import Measurements, ParticleStack
from cryoprior.io.rows import spread_rows
from cryoprior.measurement.reading import read_finite
from cryoprior.operators import Operator

LOOKED_AT = 32
OTHERS = 4
"""Other particles that each one's measurements are held against, to see what chance gives."""
CLEAR = 4.0
"""Standard errors between what the same images give and what others give, below which nothing is said."""


@torch.no_grad()
def check_same_images(stack: ParticleStack, measured: Measurements, operator: Operator) -> None:
    """Raise InputError where the images of a stack, row by row, are others than those that were measured.

    The correlation of y with A x over the numbers of a particle is sqrt(P / (P + sigma^2)) for the image x that was
    measured, P the variance of A x, and about that with other particles' images if x is another one. Refused is what
    lies nearer to the latter, over some particles, if the two lie apart.
    """
    rows = spread_rows(len(stack), LOOKED_AT)
    if len(rows) < 2 or operator.m < 2:
        return
    images = read_finite(stack, rows)
    particles = [int(i) for i in measured.particle_index[rows]]
    y = torch.from_numpy(np.array(measured.y(rows), dtype=np.float32))
    predicted = operator.forward(images, particles)
    power = predicted.double().var(1)
    expected = (power / (power + measured.sigma**2)).sqrt()
    turns = range(1, min(OTHERS, len(rows) - 1) + 1)
    chance = torch.stack([_correlation(y, operator.forward(images.roll(turn, 0), particles)) for turn in turns])
    found = _correlation(y, predicted)
    apart = float(expected.mean() - chance.mean())
    error = float(chance.std()) / len(rows) ** 0.5
    if apart > CLEAR * error and float(found.mean() - chance.mean()) < 0.5 * apart:
        raise InputError(
            f"{stack.path}: its images are not those that were measured ({measured.source}): their correlation with "
            f"the measurements {measured.path} is {float(found.mean()):.2f}; expected {float(expected.mean()):.2f}, "
            f"and {float(chance.mean()):.2f} of other particles; pass the stack that was measured"
        )


def _correlation(a: Float[Tensor, "b m"], b: Float[Tensor, "b m"]) -> Float[Tensor, " b"]:
    a, b = (x.double() - x.double().mean(1, keepdim=True) for x in (a, b))
    norm = (a.norm(dim=1) * b.norm(dim=1)).clamp_min(torch.finfo(torch.float64).tiny)
    correlation: Tensor = (a * b).sum(1) / norm
    return correlation
