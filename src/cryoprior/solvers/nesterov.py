"""The paper's sampler: guided reverse diffusion with a Nesterov momentum on the data gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.operators import Operator, require_linear
from cryoprior.prior.denoiser import Denoiser
from cryoprior.prior.schedule import respaced_alpha_bars
from cryoprior.random import ParticleNoise
from cryoprior.solvers.base import Solution
from cryoprior.solvers.parts.chain import PaperScale, ancestral_step

ZETA, ZETA_OF_BLOCK_32 = 1.0, 10.0
"""The paper's longest steps. Source: its appendix."""


@dataclass(frozen=True)
class Nesterov:
    """Algorithm 1 of the paper with its misprints corrected: 1 / sqrt(abar_t) in Eq. 6, two roots in Eq. 7.

    The algorithm runs in the paper's intensity scale of [-1, 1], in which its zeta and its schedule are meant. A DDPM
    was trained in such a scale, and is asked at the very steps of its training, 999 to 0.

    steps: levels of the linear DDPM schedule that are visited, at most 1000; one network evaluation each.
    zeta_min, zeta_max, kappa_min, kappa_max: step length and momentum, linear over the steps. zeta_max is 10 for sums
        over blocks of 32 pixels and 1 for all others, as in the paper, where it is not given.
    gradient: ``unit`` divides g by its own norm, particle by particle (with it the printed zeta are usable); ``plain``
        is as printed; ``lipschitz`` divides by 2 ||A||^2.
    growth: ``progress`` lets zeta and kappa grow as sampling goes on, as the text says; ``time`` with t, as printed.
    unit: how many of the prior's units (standard deviations) make 1 in the paper's scale; where not given, the scale
        that a DDPM was trained in, and 4 for priors that have none of their own.
    clamp: bound on x0_hat and x_t in the paper's scale, or none.

    Known bias: the data gradient is added to every step with no regard to the noise level, so the result fits y only
    as far as zeta and cond(A) let it, and what is unmeasured does not follow the posterior, Gaussian priors included.

    Source: Generative Priors for Cryo-EM Image Reconstruction, Algorithm 1 and Eqs. 6 to 8.
    """

    steps: int = 1000
    zeta_min: float = 1e-10
    zeta_max: float | None = None
    kappa_min: float = 0.1
    kappa_max: float = 0.9
    gradient: Literal["unit", "plain", "lipschitz"] = "unit"
    growth: Literal["progress", "time"] = "progress"
    unit: float | None = None
    clamp: float | None = 1.0
    estimate: ClassVar[str] = "sample"
    needs_prior: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 1000:
            raise InputError(f"nesterov: steps={self.steps}; expected 1 to 1000, the levels of the DDPM schedule")
        if any(value is not None and value <= 0 for value in (self.unit, self.clamp)):
            raise InputError(f"nesterov: unit={self.unit}, clamp={self.clamp}; expected positive, or none")

    def solve(
        self, y: Float[Tensor, "b m"], operator: Operator, prior: Denoiser, sigma: float, noise: ParticleNoise
    ) -> Solution:
        """Return one approximate posterior draw per particle; sigma is not used, as in the paper."""
        require_linear(operator, "nesterov")
        scale = PaperScale.of(prior, self.unit)
        y = scale.measured(y, operator, noise.particles)
        shape = (len(y), operator.box, operator.box)
        abar = respaced_alpha_bars(self.steps)
        abar_before = torch.cat([abar.new_ones(1), abar[:-1]])
        zetas, kappas = self._ramp(self.zeta_min, self._longest(operator)), self._ramp(self.kappa_min, self.kappa_max)
        weight = self._gradient_weight(operator, y, noise)

        x = noise.normal_like(y.new_empty(shape))
        m = torch.zeros_like(x)
        for t in range(self.steps - 1, -1, -1):
            abar_t, abar_prev = float(abar[t]), float(abar_before[t])
            x0_hat = self._clamped(scale.denoised(x, abar_t))  # Eq. 6
            x = ancestral_step(x, x0_hat, abar_t, abar_prev, noise)  # Eq. 7
            zeta, kappa = zetas[t], kappas[t]
            p = x0_hat - kappa * m
            g = 2 * operator.adjoint(operator.forward(p, noise.particles) - y, noise.particles)
            m = kappa * m + zeta * self._scaled(g, weight)
            x = self._clamped(x - m)  # Eq. 8
        return Solution(scale.to_prior(x), evaluations=self.steps)

    def _longest(self, operator: Operator) -> float:
        """Return the last zeta: the one given, or the paper's for this operator."""
        if self.zeta_max is not None:
            return self.zeta_max
        return ZETA_OF_BLOCK_32 if operator.kind.get("block") == 32 else ZETA

    def _ramp(self, low: float, high: float) -> list[float]:
        """Return one value per t; sampling begins at the last t."""
        values = torch.linspace(low, high, self.steps, dtype=torch.float64)
        return [float(v) for v in (values if self.growth == "time" else values.flip(0))]

    def _gradient_weight(
        self, operator: Operator, y: Float[Tensor, "b m"], noise: ParticleNoise
    ) -> Float[Tensor, "b 1 1"] | None:
        if self.gradient != "lipschitz":
            return None
        norm = operator.singular_values(noise.particles, like=y).amax(dim=-1)
        return 1 / (2 * norm**2)[:, None, None]

    def _scaled(self, g: Float[Tensor, "b box box"], weight: Float[Tensor, "#b 1 1"] | None) -> Tensor:
        if self.gradient == "plain":
            return g
        if weight is not None:
            return g * weight
        unit: Tensor = g / g.flatten(1).norm(dim=1).clamp_min(torch.finfo(g.dtype).tiny)[:, None, None]
        return unit

    def _clamped(self, x: Float[Tensor, "b box box"]) -> Float[Tensor, "b box box"]:
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)
