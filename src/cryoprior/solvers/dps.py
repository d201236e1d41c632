"""Diffusion posterior sampling: ancestral steps, each with one down the misfit's gradient, through the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.operators import Operator
from cryoprior.prior.denoiser import Denoiser
from cryoprior.prior.schedule import respaced_alpha_bars
from cryoprior.random import ParticleNoise
from cryoprior.solvers.base import Solution
from cryoprior.solvers.parts.chain import UNIT, PaperScale, ancestral_step, check_chain
from cryoprior.solvers.parts.misfit import Misfit, Rows


@dataclass(frozen=True)
class Dps:
    """Algorithm 1 of DPS (Gaussian noise): x_{t-1} = x'_{t-1} - zeta_t grad_{x_t} ||y - A x0_hat(x_t)||^2.

    zeta_t = zeta / ||y - A x0_hat||, particle by particle. Each step is a forward and a backward evaluation.

    steps: levels of the linear DDPM schedule, at most 1000.
    zeta: step length; the paper has 1 for inpainting, super-resolution and deblurring of faces, 0.4 to 1 for others.
    rows: ``orthonormal`` rows of A, for which zeta was published; ``given`` follows ||y - A x||, as printed, whose
        gradient grows with ||A||: see misfit.py.
    unit: standard deviations of the prior that make 1 in the scale of [-1, 1].

    Known bias: the likelihood of x_t is taken at its mean x0_hat, so its width at high noise is ignored, and zeta_t
    knows neither sigma nor the noise level. What is measured is met to within a residual; what is not does not follow
    the posterior, Gaussian priors included.

    Source: Chung et al. 2023 (arXiv 2209.14687), Algorithm 1, Eq. 16 and appendix C.
    """

    steps: int = 1000
    zeta: float = 1.0
    rows: Rows = "orthonormal"
    unit: float = UNIT
    estimate: ClassVar[str] = "sample"
    needs_prior: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_chain("dps", self.steps, self.unit)
        if self.zeta < 0:
            raise InputError(f"dps: zeta={self.zeta}; expected 0 or more")

    def solve(
        self, y: Float[Tensor, "b m"], operator: Operator, prior: Denoiser, sigma: float, noise: ParticleNoise
    ) -> Solution:
        """Return one approximate posterior draw per particle."""
        misfit = Misfit(operator, y, sigma, noise.particles, self.rows, "dps")
        scale = PaperScale(prior, self.unit)
        abar = [1.0, *respaced_alpha_bars(self.steps).tolist()]
        x = noise.normal_like(y.new_empty(len(y), operator.box, operator.box))
        for t in range(self.steps, 0, -1):
            x0_hat, pullback = scale.linearised(x, abar[t])
            r, back = misfit(x0_hat * self.unit)  # in the prior's scale; back / ||r|| is the same in both
            zeta_t = self.zeta / r.norm(dim=1).clamp_min(torch.finfo(r.dtype).tiny)
            gradient = -2 * pullback(back)
            x = ancestral_step(x, x0_hat, abar[t], abar[t - 1], noise) - zeta_t[:, None, None] * gradient  # Eq. 16
        return Solution(x * self.unit, evaluations=self.steps, backward=self.steps)
