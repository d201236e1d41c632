"""What rounded numbers were before they were rounded, by the exact likelihood: each lay within its cell.

Where numbers are coefficients of the Fourier transform they are independent, and E[y | cells] has a closed form.

Elsewhere x = u + w with w the white part of the Gaussian image. Given u every number is independent of the others, and
normal within its cell; given the numbers u is normal. Drawn in turn (J. H. Albert and S. Chib, J. Am. Stat. Assoc. 88
(1993) 669) they give E[y | cells], and with it E[x | cells], which is linear in y. A sweep moves a number by about the
deviation of the white part: where that is small beside the image, many sweeps are needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.spectrum import apply_filter
from cryoprior.measurement.conditioning import Measurement
from cryoprior.operators import Identity, Operator, Quantize
from cryoprior.operators.levels import lloyd_max
from cryoprior.operators.rounding import number_levels, rounding_sigma
from cryoprior.random import ParticleNoise

WHITE = 0.9
"""Share of the least power of the images that is taken as their white part: all of it would leave u without law."""
BURN_IN = 4
"""One sweep of so many is not counted."""
FAR = 1e-300


def unrounded(operator: Operator) -> Operator:
    """Return the operator without its bits."""
    if isinstance(operator, Quantize):
        return Identity(box=operator.box, seed=operator.seed, sets=operator.sets)
    return replace(operator, bits=None, mean=None, deviation=None)


def white_sigma(operator: Operator, sigma: float) -> float:
    """Return the noise that is left of sigma beside that of rounding."""
    return math.sqrt(max(0.0, sigma**2 - rounding_sigma(operator) ** 2))


def mean_within_cells(
    y: Float[Tensor, "b m"],
    operator: Operator,
    mean: Float[Tensor, "box box"],
    power: Float[Tensor, "box half"],
    sigma: float,
    noise: ParticleNoise,
    sweeps: int,
) -> Float[Tensor, "b m"]:
    """Return E[y before rounding | the cells in which it lay], (b, m), in float64.

    Parameters
    ----------
    y: rounded, in the operator's levels.
    mean, power: law of the images, x ~ N(mean, F^-1 power F).
    sigma: noise that was added before rounding.

    Raises
    ------
    InputError: an operator whose numbers are no multiples of orthonormal coordinates.
    """
    y, mean, power = y.double(), mean.double(), power.double()
    values = operator.singular_values(noise.particles, like=y)
    scale = float(values.max())
    if not operator.aligned or not bool(((values == 0) | ((values - scale).abs() < 1e-6 * scale)).all()):
        raise InputError(
            f"gaussian: rounding=exact with the operator {operator.name!r}; expected numbers that are one coordinate "
            "each, all with one singular value: quantize, Hermitian Fourier masks, crop or bin; use rounding=linear"
        )
    low, high = _cells(y, operator, noise)
    plain, guess = unrounded(operator), mean.expand(len(y), -1, -1)
    variance = _own_variance(plain, power, y, noise.particles)
    if variance is not None:
        alone = (variance + sigma**2).sqrt().clamp_min(FAR)
        centre = _within(plain.forward(guess, noise.particles), alone, low, high, torch.zeros_like(y))[1]
        return torch.where(values.expand_as(y) > 0, centre, 0.0)
    white = WHITE * float(power.min())
    spread = y.new_tensor(math.sqrt(white * scale**2 + sigma**2))
    numbers, total, counted = y, torch.zeros_like(y), 0
    for sweep in range(sweeps):
        stream = noise.fork(f"sweep{sweep}")
        given = Measurement(plain, numbers, float(spread), noise.particles, "gaussian")
        about = plain.forward(given.condition(guess, power - white, stream), noise.particles)
        numbers, centre = _within(about, spread, low, high, stream.normal_like(y))
        if sweep >= sweeps // BURN_IN:
            total, counted = total + centre, counted + 1
    return torch.where(values.expand_as(y) > 0, total / max(1, counted), 0.0)


def _cells(y: Tensor, operator: Operator, noise: ParticleNoise) -> tuple[Tensor, Tensor]:
    """Return both ends of the cell of every number."""
    assert operator.bits is not None
    table = lloyd_max(operator.bits)
    mean, deviation = number_levels(operator, noise.particles, like=y)
    levels, inner = (torch.from_numpy(values).to(y) for values in (table.levels, table.thresholds))
    cell = torch.bucketize(((y - mean) / deviation.clamp_min(FAR)).contiguous(), (levels[1:] + levels[:-1]) / 2)
    ends = torch.cat([inner.new_tensor([-torch.inf]), inner, inner.new_tensor([torch.inf])])
    return mean + deviation * ends[cell], mean + deviation * ends[cell + 1]


def _own_variance(operator: Operator, power: Tensor, y: Tensor, particles: Sequence[int]) -> Tensor | None:
    """Return the variance of every number, (b, m), where all are independent of each other; None where they are not.

    A P A^T of two vectors of random signs, divided by these, is its diagonal twice if it is diagonal.
    """
    signs = torch.randint(0, 2, (2, *y.shape), generator=torch.Generator().manual_seed(0)).to(y) * 2 - 1
    first, second = (
        sign * operator.forward(apply_filter(operator.adjoint(sign, particles), power), particles) for sign in signs
    )
    diagonal = bool((first - second).abs().max() < 1e-6 * first.abs().max())
    return first.clamp_min(0) if diagonal else None


def _within(about: Tensor, spread: Tensor, low: Tensor, high: Tensor, white: Tensor) -> tuple[Tensor, Tensor]:
    """Return draws of N(about, spread^2) between two ends, and the means there.

    Where both ends lie above, the tail is taken from the other side, so that its probability keeps its digits.
    """
    a, b = (low - about) / spread, (high - about) / spread
    flip = a + b > 0
    a, b = torch.where(flip, -b, a), torch.where(flip, -a, b)
    below, above = torch.special.ndtr(a), torch.special.ndtr(b)
    share = (above - below).clamp_min(FAR)
    drawn = torch.special.ndtri((below + torch.special.ndtr(white) * share).clamp(FAR, 1 - 1e-16))
    drawn = torch.minimum(torch.maximum(drawn, a), b)
    centre = torch.minimum(torch.maximum((_density(a) - _density(b)) / share, a), b)
    sign = torch.where(flip, -1.0, 1.0)
    return about + spread * sign * drawn, about + spread * sign * centre


def _density(x: Tensor) -> Tensor:
    return torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)
