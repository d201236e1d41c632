"""y = A x + noise: a few numbers per image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.measurement.arrays import as_images, as_particles, check_least
from cryoprior.measurement.reading import calibration_sample
from cryoprior.operators import Operator, parse_operator, rounded, with_levels
from cryoprior.random import ParticleNoise, numpy_stream


def measure(
    images: Tensor | np.ndarray,
    operator: str | Operator,
    sigma: float = 0.0,
    seed: int = 0,
    particles: Sequence[int] | np.ndarray | None = None,
) -> Float[Tensor, "n m"]:
    """Return the measurements y = A x + N(0, sigma^2) of images, (n, m), as ``cryoprior measure`` writes them.

    An operator with ``bits`` rounds them to its levels, which are fitted to these images where it has none; an operator
    from :func:`cryoprior.fit_levels` keeps its own, and reconstructs what it measured.

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
    operator, numbers = _opened(operator, x, seed), as_particles(particles, len(x))
    fitted = fitted_to(x, operator, sigma, seed, numbers)
    return rounded(fitted, measure_unrounded(x, operator, sigma, seed, numbers), numbers)


def fit_levels(
    images: Tensor | np.ndarray,
    operator: str | Operator,
    sigma: float = 0.0,
    seed: int = 0,
    particles: Sequence[int] | np.ndarray | None = None,
) -> Operator:
    """Return an operator with bits whose levels fit the measurements of these images; itself where it has levels.

    At most 256 images are looked at, as ``cryoprior measure`` does.

    Parameters
    ----------
    images: (n, box, box), a tensor or a numpy array.
    operator: an Operator or its text, for example ``quantize:bits=1``.
    sigma: standard deviation of the noise that the measurement adds; levels fit the numbers with it.
    seed, particles: as :func:`measure` takes them.

    Raises
    ------
    InputError: as :func:`measure`; images that do not vary.
    """
    x = as_images(images, "images")
    check_least(sigma, "sigma", 0)
    return fitted_to(x, _opened(operator, x, seed), sigma, seed, as_particles(particles, len(x)))


def measure_unrounded(
    x: Float[Tensor, "b box box"], operator: Operator, sigma: float, seed: int, particles: list[int]
) -> Float[Tensor, "b m"]:
    """Return A x + N(0, sigma^2), (b, m), whatever bits the operator has."""
    y = operator.forward(x, particles)
    if sigma > 0:
        noise = ParticleNoise(seed, "measure", particles).normal_like(y)
        y = y + sigma * noise * torch.from_numpy(_measured(operator, particles)).to(y)
    return y


def fitted_to(
    x: Float[Tensor, "n box box"], operator: Operator, sigma: float, seed: int, particles: list[int]
) -> Operator:
    """Return the operator with levels fitted to the measurements of a fixed sample of images, where it has none."""
    if operator.bits is None or operator.deviation is not None:
        return operator
    rows = calibration_sample(len(x))
    chosen = [particles[row] for row in rows]
    return with_levels(operator, measure_unrounded(x[rows], operator, sigma, seed, chosen), chosen)


def _opened(operator: str | Operator, x: Tensor, seed: int) -> Operator:
    return parse_operator(operator, box=x.shape[-1], seed=seed) if isinstance(operator, str) else operator


def _measured(operator: Operator, particles: list[int]) -> Float[np.ndarray, "b m"]:
    """Return 1 for the numbers that measure something, 0 for those that pad a smaller mask set, (b, m)."""
    if operator.sets == 1 or not operator.linear:
        return np.ones((len(particles), operator.m), np.float32)
    return np.stack([_measured_by_set(operator, particle % operator.sets) for particle in particles])


@lru_cache(maxsize=1024)
def _measured_by_set(operator: Operator, index: int) -> np.ndarray:
    probe = numpy_stream(0, "measure/probe").standard_normal((1, operator.box, operator.box)).astype(np.float32)
    return np.asarray(operator.forward(torch.from_numpy(probe), [index])[0].numpy() != 0, np.float32)
