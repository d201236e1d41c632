"""What samplers on the schedule of a DDPM share: its levels, the paper's grey scale, the ancestral step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.operators import Operator
from cryoprior.prior.denoiser import Denoiser, Pullback, TrainedInScale, linearise
from cryoprior.prior.schedule import exploding_level, respaced_alpha_bars
from cryoprior.random import ParticleNoise

UNIT = 4.0
"""Standard deviations of the prior's images that make 1 in the scale of [-1, 1] of the publications."""


def falling_levels(steps: int, unit: float = UNIT) -> list[float]:
    """Return tau of ``steps`` evenly spaced levels of the linear DDPM schedule, the highest first, and 0 after them.

    In the prior's grey scale: the noise of x_t / sqrt(abar_t), times ``unit``.
    """
    levels = unit * exploding_level(respaced_alpha_bars(steps))
    return [*(float(tau) for tau in levels.flip(0)), 0.0]


def check_chain(name: str, steps: int, unit: float) -> None:
    """Raise InputError for a number of steps or a unit that the schedule does not allow."""
    if not 1 <= steps <= 1000:
        raise InputError(f"{name}: steps={steps}; expected 1 to 1000, the levels of the DDPM schedule")
    if not unit > 0:
        raise InputError(f"{name}: unit={unit}; expected more than 0 standard deviations")


class PaperScale:
    """A prior asked about variance-preserving images x_t = sqrt(abar) x0 + sqrt(1 - abar) e in the scale of [-1, 1].

    An image of that scale is (x - offset) / unit, x the image in the prior's grey scale.
    """

    def __init__(self, prior: Denoiser, unit: float, offset: float = 0.0) -> None:
        self.prior, self.unit, self.offset = prior, unit, offset

    @classmethod
    def of(cls, prior: Denoiser, unit: float | None) -> PaperScale:
        """Return the scale of ``unit`` about grey value 0; where None, the one that a DDPM was trained in, if any."""
        own = prior.training_scale if unit is None and isinstance(prior, TrainedInScale) else None
        if own is None:
            return cls(prior, UNIT if unit is None else unit)
        scale, offset = own
        return cls(prior, 1 / scale, -offset / scale)

    def to_prior(self, x: Float[Tensor, "b box box"]) -> Float[Tensor, "b box box"]:
        """Return images of the scale of [-1, 1] in the prior's."""
        return self.unit * x + self.offset

    def measured(
        self, y: Float[Tensor, "b m"], operator: Operator, particles: Sequence[int] | None
    ) -> Float[Tensor, "b m"]:
        """Return what was measured of images in the prior's scale as if they had been in the scale of [-1, 1]."""
        if self.offset:
            ones = y.new_ones(len(y), operator.box, operator.box)
            y = y - self.offset * operator.forward(ones, particles)
        return y / self.unit

    def denoised(self, x: Float[Tensor, "b box box"], abar: float) -> Float[Tensor, "b box box"]:
        """Return E[x0 | x_t]; one forward evaluation."""
        return (self.prior(self.to_prior(x / math.sqrt(abar)), self._tau(x, abar)) - self.offset) / self.unit

    def linearised(self, x: Float[Tensor, "b box box"], abar: float) -> tuple[Float[Tensor, "b box box"], Pullback]:
        """Return E[x0 | x_t] and the map v -> J^T v, J its derivative with respect to x_t."""
        x0_hat, pullback = linearise(self.prior, self.to_prior(x / math.sqrt(abar)), self._tau(x, abar))
        return (x0_hat - self.offset) / self.unit, lambda v: pullback(v) / math.sqrt(abar)

    def _tau(self, x: Tensor, abar: float) -> Float[Tensor, "b"]:
        return x.new_full((len(x),), self.unit * math.sqrt((1 - abar) / abar))


def ancestral_step(
    x: Float[Tensor, "b box box"],
    x0_hat: Float[Tensor, "b box box"],
    abar: float,
    abar_prev: float,
    noise: ParticleNoise,
) -> Float[Tensor, "b box box"]:
    """Return a draw of x_{t-1} given x_t and x0_hat; its mean at the last step, where abar_prev is 1.

    Source: Ho et al. 2020, Eqs. 6 and 7.
    """
    alpha = abar / abar_prev
    beta = 1 - alpha
    mean: Tensor = math.sqrt(alpha) * (1 - abar_prev) / (1 - abar) * x
    mean = mean + math.sqrt(abar_prev) * beta / (1 - abar) * x0_hat
    if abar_prev == 1:
        return mean
    deviation = math.sqrt((1 - abar_prev) / (1 - abar) * beta)
    return mean + deviation * noise.normal_like(x)


def moments(draws: Iterator[Tensor]) -> tuple[Tensor | None, Tensor | None]:
    """Return the first draw and the standard deviation of all by pixel (None below two), holding one at a time."""
    first = mean = squares = None
    count = 0
    for count, x in enumerate(draws, start=1):
        if mean is None or squares is None:
            first, mean, squares = x, x.clone(), torch.zeros_like(x)
            continue
        change = x - mean
        mean = mean + change / count
        squares = squares + change * (x - mean)
    return first, (squares / (count - 1)).sqrt() if squares is not None and count > 1 else None
