"""The Wiener estimate: the posterior mean if images were Gaussian with the prior's mean image and power spectrum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.spectrum import apply_filter
from cryoprior.measurement.conditioning import Measurement, floored
from cryoprior.operators import Operator
from cryoprior.prior.denoiser import Centred, Denoiser
from cryoprior.prior.mean_image import power_about
from cryoprior.prior.split import signal_and_noise
from cryoprior.random import ParticleNoise
from cryoprior.solvers.base import Solution
from cryoprior.solvers.parts.chain import moments
from cryoprior.solvers.parts.intervals import mean_within_cells, unrounded, white_sigma

MOST_SWEEPS = 100_000


@dataclass(frozen=True)
class Gaussian:
    """x = M + P A^T (A P A^T + sigma^2 I)^-1 (y - A M), P diagonal in the Fourier basis; no evaluation per particle.

    M is the prior's mean image, and P the power about it. Of a prior of signal and noise, P = Q + N, the signal is
    M + Q / P (x - M).

    Known bias: the best linear estimate; the posterior mean of Gaussian images alone.

    estimate: ``mean`` of the image, or ``signal``, E[s | y] under the same law.
    centred: False leaves the mean image out, and takes P about 0.
    samples: draws of the signal for its deviation, which is returned above 1.
    tolerance: relative residual at which conjugate gradients stop; Fourier operators have a closed form.
    rounding: of an operator with bits: ``linear``, noise that is known by its variance, or ``exact``, the likelihood
        of the cells in which numbers lay, by ``sweeps`` of Gibbs' sampler: slow, a reference for small boxes.
    """

    estimate: Literal["mean", "signal"] = "mean"
    centred: bool = True
    samples: int = 1
    tolerance: float = 1e-6
    rounding: Literal["linear", "exact"] = "linear"
    sweeps: int = 200
    needs_prior: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.estimate not in ("mean", "signal"):
            raise InputError(f"gaussian: estimate={self.estimate}; expected mean or signal; it draws no samples")
        if self.rounding not in ("linear", "exact") or not 1 <= self.sweeps <= MOST_SWEEPS:
            raise InputError(
                f"gaussian: rounding={self.rounding}, sweeps={self.sweeps}; expected linear or exact, and 1 to "
                f"{MOST_SWEEPS} sweeps"
            )
        if self.rounding == "exact" and self.samples > 1:
            raise InputError(f"gaussian: samples={self.samples} with rounding=exact, which has none; leave them out")
        if self.samples < 1:
            raise InputError(f"gaussian: samples={self.samples}; expected at least 1")
        if self.samples > 1 and self.estimate == "mean":
            raise InputError(f"gaussian: samples={self.samples} for a mean, which has no deviation; leave them out")

    def solve(
        self, y: Float[Tensor, "b m"], operator: Operator, prior: Denoiser, sigma: float, noise: ParticleNoise
    ) -> Solution:
        """Return the Wiener estimates.

        Raises
        ------
        InputError: an operator that is not linear; the signal of a prior that cannot tell it from noise.
        """
        mean = y.new_zeros(operator.box, operator.box)
        if self.centred and isinstance(prior, Centred):
            mean = prior.mean_image(operator.box, y)
        if self.estimate == "signal":
            signal, background = signal_and_noise(prior, operator.box, y)
            signal = power_about(signal, mean)
            power = floored(signal + background)
        else:
            power = floored(power_about(prior.spectrum(operator.box).to(y), mean))
        if operator.bits is not None and self.rounding == "exact":
            left = white_sigma(operator, sigma)
            y = mean_within_cells(y, operator, mean, power, left, noise, self.sweeps).to(y)
            operator, sigma = unrounded(operator), left
        measurement = Measurement(operator, y, sigma, noise.particles, "gaussian")
        guess = mean.expand(len(y), -1, -1)
        x = measurement.condition(guess, power, tolerance=self.tolerance, limit=2000)
        if self.estimate == "mean":
            return Solution(measurement.fit(x), evaluations=0)
        draws = self._draws(measurement, signal, power, noise)
        return Solution(mean + apply_filter(x - mean, signal / power), 0, moments(draws)[1])

    def _draws(self, measurement: Measurement, signal: Tensor, power: Tensor, noise: ParticleNoise) -> Iterator[Tensor]:
        """Yield draws of s given y about its mean: what x0 leaves open of s, and what y leaves open of x0."""
        nothing = measurement.y.new_zeros(len(measurement.y), measurement.operator.box, measurement.operator.box)
        for i in range(self.samples if self.samples > 1 else 0):
            stream = noise.fork(f"signal{i}")
            x = measurement.silent.condition(nothing, power, stream, tolerance=self.tolerance, limit=2000)
            left = apply_filter(stream.normal_like(x), (signal * (power - signal) / power).clamp_min(0).sqrt())
            yield apply_filter(x, signal / power) + left
