"""The image of least total variation that fits the measurement: no prior at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from cryoprior.measurement.conditioning import Measurement
from cryoprior.operators import Operator
from cryoprior.prior.denoiser import Denoiser
from cryoprior.random import ParticleNoise
from cryoprior.solvers.base import Solution
from cryoprior.solvers.parts.sparsity import Problem, check_options


@dataclass(frozen=True)
class TotalVariation:
    """The image of least total variation TV(x), the sum of gradient lengths over the pixels.

    min TV(x) subject to A x = y; with noise, min weight * TV(x) / rms + ||y - A x||^2 / (2 sigma^2).
    Gradients are forward differences, zero at the far edges; TV is isotropic.

    weight: of TV where sigma > 0. At 1 the image is the most probable one if p(x) ~ exp(-TV(x) / rms), with rms that
        of A+y about its mean, particle by particle; at w, exp(-w TV(x) / rms).
    step: tau of the primal-dual iteration, in units of rms; its dual step is 1 / (8 tau). It changes the speed alone.
    iterations: the same for every particle. On images of 64 pixels the default ends within 1 % of the limit, and
        within 3 % for the worst of those tried: a phantom with barely enough Fourier coefficients, 3 % above its
        least TV; elsewhere TV is within 0.5 % of its minimum.

    Source: the programme of Candes, Romberg and Tao 2006; the iteration is Algorithm 1 of Chambolle and Pock 2011.
    """

    weight: float = 1.0
    step: float = 0.15
    iterations: int = 1000
    estimate: ClassVar[str] = "sparse"
    needs_prior: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_options("total-variation", self.weight, self.step, self.iterations)

    def solve(
        self, y: Float[Tensor, "b m"], operator: Operator, prior: Denoiser | None, sigma: float, noise: ParticleNoise
    ) -> Solution:
        """Return the images of least total variation."""
        problem = Problem(Measurement(operator, y, sigma, noise.particles, "total-variation"), self.weight)
        tau, tau_dual = self.step, 1 / (8 * self.step)  # ||gradient||^2 <= 8
        x = x_bar = problem.start
        p = torch.zeros_like(gradient(x))
        for _ in range(self.iterations):
            p = p + tau_dual * gradient(x_bar)
            p = p / _lengths(p).clamp_min(1)[:, None]  # Algorithm 1: the dual step, onto discs of radius 1
            before, x = x, problem.data_step(x - tau * gradient_adjoint(p), tau)
            x_bar = 2 * x - before
        return Solution(problem.images(x), evaluations=0)


def total_variation(x: Float[Tensor, "b box box"]) -> Float[Tensor, "b"]:
    """Return the sum of gradient lengths, (b,)."""
    return _lengths(gradient(x)).sum(dim=(1, 2))


def gradient(x: Float[Tensor, "b box box"]) -> Float[Tensor, "b 2 box box"]:
    """Return forward differences along y and x, zero at the far edges."""
    return torch.stack([pad(x.diff(dim=1), (0, 0, 0, 1)), pad(x.diff(dim=2), (0, 1))], dim=1)


def gradient_adjoint(p: Float[Tensor, "b 2 box box"]) -> Float[Tensor, "b box box"]:
    """Return the transpose of the gradient, minus a divergence."""
    return -pad(p[:, 0, :-1], (0, 0, 1, 1)).diff(dim=1) - pad(p[:, 1, :, :-1], (1, 1)).diff(dim=2)


def _lengths(p: Float[Tensor, "b 2 box box"]) -> Float[Tensor, "b box box"]:
    return (p[:, 0].square() + p[:, 1].square()).sqrt()  # several times faster than a norm over an axis of two
