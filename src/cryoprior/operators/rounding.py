"""Numbers of few bits: how measurements are rounded, and what noise that is to whoever takes A for all that was done.

Rounded to levels of unit gain (:class:`NormalLevels`), a number is y + e: e has no correlation with y and a variance in
proportion to that of y (Bussgang 1952). That neighbouring numbers share some of e is left out: where their correlation
is c, that of e at one bit is (2 / pi) (arcsin(c) - c) over 1 - 2 / pi, .02 at c = .4 (Van Vleck and Middleton 1966).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.operators.base import Operator, Particles
from cryoprior.operators.levels import lloyd_max

Kind = TypeVar("Kind", bound=Operator)
DIGITS = 4
"""Of fitted means and deviations: their text stays short, and the levels within a thousandth of the best."""


def rounded(operator: Operator, y: Float[Tensor, "b m"], particles: Particles = None) -> Float[Tensor, "b m"]:
    """Return y rounded to the operator's levels, in the grey scale of y; y itself where the operator has no bits.

    Raises
    ------
    InputError: levels that were not fitted yet.
    """
    if operator.bits is None:
        return y
    table = lloyd_max(operator.bits)
    mean, deviation = number_levels(operator, particles, y)
    thresholds = torch.from_numpy(table.thresholds).to(y)
    scaled = (y - mean) / deviation.clamp_min(torch.finfo(y.dtype).tiny)
    cell = torch.bucketize(scaled.contiguous(), thresholds)
    return mean + deviation * torch.from_numpy(table.levels).to(y)[cell]


def with_levels(operator: Kind, y: Float[Tensor, "b m"], particles: Sequence[int]) -> Kind:
    """Return the operator with its levels fitted to unrounded measurements; itself where it has levels, or no bits.

    Raises
    ------
    InputError: measurements that do not vary.
    """
    if operator.bits is None or operator.deviation is not None:
        return operator
    ones = operator.forward(y.new_ones(len(y), operator.box, operator.box), particles).double()
    power = float(ones.square().sum())
    mean = float((y.double() * ones).sum()) / power if power > 0 else 0.0
    indices, place = np.unique(np.asarray(particles, np.int64) % operator.sets, return_inverse=True)
    norms, bands = (
        np.stack([per_set(int(index)) for index in indices])[place]
        for per_set in (operator.number_norms, operator.number_bands)
    )
    kept = norms > 0
    squares = np.divide((y.double() - mean * ones).cpu().numpy(), norms, out=np.zeros_like(norms), where=kept) ** 2
    whole = float(squares[kept].mean())
    if not 0 < whole < np.inf:
        raise InputError(f"{operator.name}: measurements that do not vary; expected images; check the particles")
    totals, counts = (np.bincount(bands[kept], weights, operator.bands) for weights in (squares[kept], None))
    variance = np.where((counts > 0) & (totals > 0), totals / np.maximum(counts, 1), whole)
    deviation = tuple(float(f"{value**0.5:.{DIGITS}g}") for value in variance)
    return replace(operator, mean=float(f"{mean:.{DIGITS}g}"), deviation=deviation)


def regraded(operator: Operator, scale: float, offset: float) -> Operator:
    """Return the operator for images (x - offset) / scale, its levels with them; its singular systems are shared."""
    if operator.bits is None or operator.mean is None or operator.deviation is None:
        return operator
    deviation = tuple(value / abs(scale) for value in operator.deviation)
    other = replace(operator, mean=(operator.mean - offset) / scale, deviation=deviation)
    for name in ("_cache", "_values"):
        object.__setattr__(other, name, getattr(operator, name))
    return other


def rounding_sigma(operator: Operator) -> float:
    """Return the root mean square of the noise that rounding is, in the grey scale of y; 0 without bits."""
    if operator.bits is None:
        return 0.0
    squares = [_rounding_variance(operator, index) for index in range(min(operator.sets, 8))]
    return float(np.sqrt(np.mean([variance[variance > 0].mean() for variance in squares])))


def number_noise(
    operator: Operator, sigma: float, particles: Particles = None, *, like: Tensor | None = None
) -> Float[Tensor, "b m"]:
    """Return the deviation of the noise of every number, (b, m), or (1, m) where all particles have the same.

    sigma: root mean square of all noise on y, that of rounding included. What is left beside rounding is white.
    """
    like = torch.empty(0) if like is None else like
    if operator.bits is None:
        return like.new_full((1, operator.m), sigma)
    indices = [0] if particles is None or operator.sets == 1 else [int(i) % operator.sets for i in particles]
    return torch.stack([torch.from_numpy(_set_noise(operator, sigma, i)).to(like.device, like.dtype) for i in indices])


def coordinate_noise(
    operator: Operator, sigma: float, particles: Particles = None, *, like: Tensor | None = None
) -> Float[Tensor, "b r"]:
    """Return the deviation of the noise of every coordinate z, 0 where s is 0, (b, r) or (1, r).

    Where a coordinate is made of many numbers (sums of pixels) their noise is taken as equal.
    """
    s = operator.singular_values(particles, like=like)
    noise = number_noise(operator, sigma, particles, like=s) if operator.bits and operator.aligned else sigma
    return torch.where(s > 0, noise / s.clamp_min(torch.finfo(s.dtype).tiny), 0)


def frequency_noise(operator: Operator, sigma: float, diagonal: Float[Tensor, "b box half"]) -> Tensor:
    """Return the variance of the noise of y by rfft2 frequency, where the FFT diagonalises A^T A: (), or as diagonal.

    diagonal: eigenvalues of A^T A, of which the numbers at a frequency are multiples.
    """
    if operator.bits is None or not operator.aligned:
        return diagonal.new_tensor(sigma**2)
    noise, bands = lloyd_max(operator.bits).noise, operator.frequency_bands()
    variance = torch.from_numpy((noise * _deviations(operator)[bands]) ** 2).to(diagonal) * diagonal
    total, white = _shares(sigma, _rounding_variance(operator, 0))
    return total * variance + white


def number_levels(
    operator: Operator, particles: Particles = None, like: Tensor | None = None
) -> tuple[Float[Tensor, "b m"], Float[Tensor, "b m"]]:
    """Return mean and deviation of every number, for which its levels are made, (b, m) or (1, m)."""
    like = torch.empty(0) if like is None else like
    indices = [0] if particles is None or operator.sets == 1 else [int(i) % operator.sets for i in particles]
    both = [set_levels(operator, index) for index in indices]
    mean, deviation = (torch.from_numpy(np.stack(part)).to(like.device, like.dtype) for part in zip(*both, strict=True))
    return mean, deviation


@lru_cache(maxsize=256)
def set_levels(operator: Operator, index: int) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Return mean and deviation of every number of a mask set, (m,) float64.

    Raises
    ------
    InputError: levels that were not fitted yet.
    """
    ones = torch.ones(1, operator.box, operator.box, dtype=torch.float64)
    deviation = _deviations(operator)[operator.number_bands(index)] * operator.number_norms(index)
    assert operator.mean is not None
    return operator.mean * operator.forward(ones, [index])[0].numpy(), deviation


def _deviations(operator: Operator) -> Float[np.ndarray, " bands"]:
    if operator.deviation is None:
        raise InputError(
            f"{operator.name}: bits={operator.bits} without levels; pass <mean> and <deviation> of a pixel, "
            "or have them fitted: cryoprior.fit_levels"
        )
    return np.array(np.broadcast_to(np.array(operator.deviation, np.float64), (operator.bands,)))


def _rounding_variance(operator: Operator, index: int) -> Float[np.ndarray, " m"]:
    assert operator.bits is not None
    variance: Float[np.ndarray, " m"] = (lloyd_max(operator.bits).noise * set_levels(operator, index)[1]) ** 2
    return variance


def _shares(sigma: float, variance: Float[np.ndarray, " m"]) -> tuple[float, float]:
    """Return the factor on the variances of rounding, and the variance of the white rest, that make up sigma^2."""
    rounding = float(variance[variance > 0].mean())
    return (1.0, sigma**2 - rounding) if sigma**2 >= rounding else (sigma**2 / rounding, 0.0)


def _set_noise(operator: Operator, sigma: float, index: int) -> Float[np.ndarray, " m"]:
    variance = _rounding_variance(operator, index)
    factor, white = _shares(sigma, variance)
    noise: Float[np.ndarray, " m"] = np.sqrt(factor * variance + white)
    return noise
