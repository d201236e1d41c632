"""The image of smallest norm that fits the measurement: no prior at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from cryoprior.operators import Operator
from cryoprior.prior.denoiser import Denoiser
from cryoprior.random import ParticleNoise
from cryoprior.solvers.base import Solution


@dataclass(frozen=True)
class LeastSquares:
    """x = A+ y, the floor that every prior has to beat; quantised images come back decoded."""

    estimate: ClassVar[str] = "least-squares"
    needs_prior: ClassVar[bool] = False

    def solve(
        self, y: Float[Tensor, "b m"], operator: Operator, prior: Denoiser | None, sigma: float, noise: ParticleNoise
    ) -> Solution:
        """Return the minimum-norm least-squares images."""
        return Solution(operator.pinv(y, noise.particles), evaluations=0)
