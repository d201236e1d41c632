"""y = A x + noise: a few numbers per image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.measurement.arrays import as_images, as_particles, check_least
from cryoprior.operators import Operator, parse_operator
from cryoprior.random import ParticleNoise, numpy_stream


def measure(
    images: Tensor | np.ndarray,
    operator: str | Operator,
    sigma: float = 0.0,
    seed: int = 0,
    particles: Sequence[int] | np.ndarray | None = None,
) -> Float[Tensor, "n m"]:
    """Return the measurements y = A x + N(0, sigma^2) of images, (n, m), as ``cryoprior measure`` writes them.

    Parameters
    ----------
    images: (n, box, box), a tensor or a numpy array; device and floating-point type of y follow it.
    operator: what is measured, an Operator or its text, for example ``pixel:block=16,masks=192``.
    sigma: standard deviation of the noise added to each number, in the images' grey scale.
    seed: of the noise, and of the masks where a text names none.
    particles: the images' numbers in the whole stack, which choose mask set and noise; 0 to n - 1 by default.

    Raises
    ------
    InputError: no images of a square box, values that are not finite, an operator for another box, a negative sigma.
    """
    x = as_images(images, "images")
    check_least(sigma, "sigma", 0)
    if isinstance(operator, str):
        operator = parse_operator(operator, box=x.shape[-1], seed=seed)
    numbers = as_particles(particles, len(x))
    y = operator.forward(x, numbers)
    if sigma > 0:
        noise = ParticleNoise(seed, "measure", numbers).normal_like(y)
        y = y + sigma * noise * torch.from_numpy(_measured(operator, numbers)).to(y)
    return y


def _measured(operator: Operator, particles: list[int]) -> Float[np.ndarray, "b m"]:
    """Return 1 for the numbers that measure something, 0 for those that pad a smaller mask set, (b, m)."""
    if operator.sets == 1 or not operator.linear:
        return np.ones((len(particles), operator.m), np.float32)
    return np.stack([_measured_by_set(operator, particle % operator.sets) for particle in particles])


@lru_cache(maxsize=1024)
def _measured_by_set(operator: Operator, index: int) -> np.ndarray:
    probe = numpy_stream(0, "measure/probe").standard_normal((1, operator.box, operator.box)).astype(np.float32)
    return np.asarray(operator.forward(torch.from_numpy(probe), [index])[0].numpy() != 0, np.float32)
