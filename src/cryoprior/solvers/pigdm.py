"""Pseudo-inverse guidance: DDIM steps with the misfit pulled back through A+ and through the network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.measurement.conditioning import Measurement
from cryoprior.operators import Operator
from cryoprior.prior.denoiser import Denoiser, linearise
from cryoprior.random import ParticleNoise
from cryoprior.solvers.base import Solution
from cryoprior.solvers.parts.chain import UNIT, check_chain, falling_levels


@dataclass(frozen=True)
class PiGdm:
    """PiGDM: the law of x0 given x_t is taken as N(D, r^2 I) and conditioned on y.

    In the scale of [-1, 1] r^2 is tau^2 / (1 + tau^2). The score of that law, J^T A^T (r^2 A A^T + sigma^2 I)^-1
    (y - A D) with J the derivative of D, enters the estimate of x0 with the adaptive weight r^2. Each step is a forward
    and a backward evaluation.

    steps: evenly spaced levels of the DDPM schedule (100 as published).
    eta: part of the noise of a step that is drawn anew (1 as published).
    unit: standard deviations of the prior that make 1 in the scale of [-1, 1]; r is meant for images of variance 1.

    Known bias: r^2 I is the right covariance for white images of variance 1 alone. Where power falls with frequency,
    measured and unmeasured part are correlated under the prior, which r^2 I does not know. The adaptive weight is that
    of a whole step however short the step, so the noise of y is fitted, all of it in some hundred steps.

    Source: Song et al. 2023 (ICLR, Pseudoinverse-Guided Diffusion Models), Eqs. 7 and 8 and Algorithm 1.
    """

    steps: int = 100
    eta: float = 1.0
    unit: float = UNIT
    estimate: ClassVar[str] = "sample"
    needs_prior: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_chain("pigdm", self.steps, self.unit)
        if not 0 <= self.eta <= 1:
            raise InputError(f"pigdm: eta={self.eta}; expected within 0 and 1")

    def solve(
        self, y: Float[Tensor, "b m"], operator: Operator, prior: Denoiser, sigma: float, noise: ParticleNoise
    ) -> Solution:
        """Return one approximate posterior draw per particle."""
        measurement = Measurement(operator, y, sigma, noise.particles, "pigdm")
        levels = falling_levels(self.steps, self.unit)
        x = levels[0] * noise.normal_like(y.new_empty(len(y), operator.box, operator.box))
        for tau, lower in pairwise(levels):
            x0, pullback = linearise(prior, x, x.new_full((len(x),), tau))
            r2 = tau**2 / (1 + (tau / self.unit) ** 2)
            weight = r2 / (r2 + measurement.deviation**2)
            misfit = weight * (measurement.z - measurement.analyse(x0))
            g = pullback(measurement.synthesise(misfit))  # Eq. 7, times r^2
            drawn = self.eta * lower * math.sqrt(1 - (lower / tau) ** 2)
            kept = math.sqrt(lower**2 - drawn**2) / tau
            x = x0 + g + kept * (x - x0) + drawn * noise.normal_like(x)  # Algorithm 1
        return Solution(x, evaluations=self.steps, backward=self.steps)
