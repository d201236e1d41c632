"""How far an image is from its measurement, and in which direction: for solvers that follow a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from cryoprior.measurement.conditioning import Measurement
from cryoprior.operators import Operator

Rows = Literal["orthonormal", "given"]


class Misfit:
    """r(x) and A^T r(x), r = y - A x, with the rows of A as they are or made orthonormal.

    The methods that follow this gradient were published for ||A|| of about 1, while ||A||^2 is up to b K^2 / 4 for sums
    under b masks and cond(A) 1e5. ``orthonormal`` takes z = V^T x + N(0, sigma^2 / s^2) in place of y, the same
    information with V orthonormal, each coordinate weighted with 1 / (1 + sigma^2 / s^2), the share of its variance
    that is image and not noise. ``given`` takes y itself.

    y, sigma, x: all in one grey scale.
    """

    def __init__(
        self,
        operator: Operator,
        y: Float[Tensor, "b m"],
        sigma: float,
        particles: Sequence[int],
        rows: Rows,
        solver: str,
    ) -> None:
        self.measurement = Measurement(operator, y, sigma, particles, solver)
        self.rows = rows

    def __call__(self, x: Float[Tensor, "b box box"]) -> tuple[Float[Tensor, "b m"], Float[Tensor, "b box box"]]:
        """Return r, (b, m) or in coordinates (b, r), and A^T r."""
        seen = self.measurement
        if self.rows == "given":
            r = seen.y - seen.operator.forward(x, seen.particles)
            return r, seen.operator.adjoint(r, seen.particles)
        weight = 1 / (1 + seen.deviation**2)
        r = weight.sqrt() * (seen.z - seen.analyse(x))
        return r, seen.synthesise(weight.sqrt() * r)
