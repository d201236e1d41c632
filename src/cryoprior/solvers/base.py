"""What every solver promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from cryoprior.operators import Operator
from cryoprior.prior.denoiser import Denoiser
from cryoprior.random import ParticleNoise
from cryoprior.registry import dataclass_fault


@dataclass(frozen=True, repr=False)
class Solution:
    """Images in the prior's grey scale, what they cost, and how sure they are.

    x: the estimate, (b, box, box).
    evaluations: forward evaluations of the network per particle, their mean where particles stop at different ones.
    deviation: posterior standard deviation by pixel, (b, box, box), where the solver estimates one.
    backward: backward evaluations, of solvers that differentiate through the network.
    """

    x: Float[Tensor, "b box box"]
    evaluations: float
    deviation: Float[Tensor, "b box box"] | None = None
    backward: float = 0

    def __repr__(self) -> str:
        n, box = self.x.shape[:2]
        spread = "" if self.deviation is None else " with deviation"
        return f"Solution({n} x {box} x {box}{spread}, {self.evaluations:g} evaluations)"


@runtime_checkable
class Solver(Protocol):
    """A frozen dataclass of options that turns measurements into images.

    needs_prior: whether ``solve`` asks the prior for anything; None may be passed where it does not.
    needs_operator_aware, where there is one: whether the prior is asked about measurements themselves.
    estimate, a field or a constant: ``mean`` or ``sample`` of the posterior, ``signal``, ``least-squares`` or
        ``sparse``.
    """

    needs_prior: ClassVar[bool]

    @property
    def estimate(self) -> str:
        """Return what the images are."""
        ...

    def solve(
        self, y: Float[Tensor, "b m"], operator: Operator, prior: Denoiser | None, sigma: float, noise: ParticleNoise
    ) -> Solution:
        """Return the images that y = A x + N(0, sigma^2) leaves likely.

        y and x are in the prior's grey scale, sigma too; ``noise.particles`` are the particles' numbers in the whole
        stack, which choose their masks. A particle's result never depends on its batch mates.
        InputError: an operator that the solver cannot handle.
        """
        ...


def fault_of_solver(name: str, item: Any) -> str:
    """Return in words what keeps an object from being a solver; empty where nothing does."""
    if not isinstance(item, type):
        return f"found {type(item).__name__}; expected a class with solve"
    fields = getattr(item, "__dataclass_fields__", {})
    lacking = [part for part in ("needs_prior", "estimate", "solve") if not hasattr(item, part) and part not in fields]
    return f"{item.__name__} without {', '.join(lacking)}; add them" if lacking else dataclass_fault(item)
