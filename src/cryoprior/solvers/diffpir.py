"""Plug-and-play restoration along a diffusion chain: denoise, solve the data equation near it, add noise again."""

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
from cryoprior.prior.denoiser import Denoiser
from cryoprior.random import ParticleNoise
from cryoprior.solvers.base import Solution
from cryoprior.solvers.parts.chain import UNIT, check_chain, falling_levels


@dataclass(frozen=True)
class DiffPir:
    """DiffPIR: x0_hat = argmin ||y - A x||^2 + rho_t ||x - D||^2, rho_t = lambda sigma_n^2 / tau^2, then a noisy step.

    steps: evenly spaced levels of the DDPM schedule; one forward evaluation each.
    lambda_: weight of the network's image. zeta: part of the noise of a step that is drawn anew. The paper tunes both
        by task, lambda from 1 to 25 and zeta from 0.1 to 1; 7 and 0.1 are the defaults of its common implementation.
    sigma_floor: least sigma_n, in the scale of [-1, 1], as measurements without noise are treated.
    unit: standard deviations of the prior that make 1 in that scale.

    Known bias: D is taken for the mean of an image with white errors of one size; so the measured part informs the
    unmeasured one through the network alone, and zeta below 1 leaves samples with too little variance.

    Source: Zhu et al. 2023 (arXiv 2305.08995), Algorithm 1 and Eqs. 12 to 14.
    """

    steps: int = 100
    lambda_: float = 7.0
    zeta: float = 0.1
    sigma_floor: float = 0.001
    unit: float = UNIT
    estimate: ClassVar[str] = "sample"
    needs_prior: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_chain("diffpir", self.steps, self.unit)
        if not self.lambda_ > 0 or not self.sigma_floor > 0:
            raise InputError(f"diffpir: lambda_={self.lambda_}, sigma_floor={self.sigma_floor}; expected more than 0")
        if not 0 <= self.zeta <= 1:
            raise InputError(f"diffpir: zeta={self.zeta}; expected within 0 and 1")

    def solve(
        self, y: Float[Tensor, "b m"], operator: Operator, prior: Denoiser, sigma: float, noise: ParticleNoise
    ) -> Solution:
        """Return one approximate posterior draw per particle."""
        measurement = Measurement(operator, y, sigma, noise.particles, "diffpir")
        sigma_n = max(sigma, self.sigma_floor * self.unit)
        squares = operator.singular_values(noise.particles, like=y) ** 2
        levels = falling_levels(self.steps, self.unit)
        x = levels[0] * noise.normal_like(y.new_empty(len(y), operator.box, operator.box))
        for tau, lower in pairwise(levels):
            x0 = prior(x, x.new_full((len(x),), tau))
            rho = self.lambda_ * sigma_n**2 / tau**2
            gain = squares / (squares + rho)
            x0_hat = x0 + measurement.synthesise(gain * (measurement.z - measurement.analyse(x0)))  # Eq. 13
            old, new = math.sqrt(1 - self.zeta) * lower / tau, math.sqrt(self.zeta) * lower
            x = x0_hat + old * (x - x0_hat) + new * noise.normal_like(x)  # Eq. 14
        return Solution(x, evaluations=self.steps)
