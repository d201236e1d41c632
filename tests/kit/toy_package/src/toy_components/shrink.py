"""The least-squares image, drawn towards zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from cryoprior.operators import Operator
from cryoprior.random import ParticleNoise
from cryoprior.solvers import Solution


@dataclass(frozen=True)
class Shrink:
    """x = factor A+ y; no prior.

    factor: 1 is least squares.
    """

    factor: float = 0.5
    estimate: ClassVar[str] = "least-squares"
    needs_prior: ClassVar[bool] = False

    def solve(self, y: Tensor, operator: Operator, prior: Any, sigma: float, noise: ParticleNoise) -> Solution:
        """Return the images, which cost no evaluation of a network."""
        return Solution(self.factor * operator.pinv(y, noise.particles), evaluations=0)
