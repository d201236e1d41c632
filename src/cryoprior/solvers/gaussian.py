"""The Wiener estimate: the posterior mean if images were Gaussian with the prior's power spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from cryoprior.measurement.conditioning import Measurement, floored
from cryoprior.operators import Operator
from cryoprior.prior.denoiser import Denoiser
from cryoprior.random import ParticleNoise
from cryoprior.solvers.base import Solution


@dataclass(frozen=True)
class Gaussian:
    """x = P A^T (A P A^T + sigma^2 I)^-1 y, with P diagonal in the Fourier basis; no network evaluation.

    tolerance: relative residual at which conjugate gradients stop; Fourier operators have a closed form.
    """

    tolerance: float = 1e-6
    estimate: ClassVar[str] = "mean"
    needs_prior: ClassVar[bool] = True

    def solve(
        self, y: Float[Tensor, "b m"], operator: Operator, prior: Denoiser, sigma: float, noise: ParticleNoise
    ) -> Solution:
        """Return the Wiener estimates."""
        measurement = Measurement(operator, y, sigma, noise.particles, "gaussian")
        power = floored(prior.spectrum(operator.box).to(y))
        nothing = y.new_zeros(len(y), operator.box, operator.box)
        x = measurement.condition(nothing, power, tolerance=self.tolerance, limit=2000)
        return Solution(measurement.fit(x), evaluations=0)
