"""The images that a method made of the particles of a cell, and their cost."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

COSTS = ("evaluations", "backward", "seconds", "seconds_network")


@dataclass(frozen=True)
class MethodImages:
    """All images of a method in a cell with one seed, (n, box, box), on the CPU, and their cost per image."""

    x: Float[Tensor, "n box box"]
    residual: Float[Tensor, " n"]
    evaluations: float
    backward: float
    seconds: float
    seconds_network: float

    def cost(self) -> dict[str, float]:
        """Return the mean residual, the cost per image, and the seconds per image outside the network."""
        spent = {name: float(getattr(self, name)) for name in COSTS}
        own = self.seconds - self.seconds_network
        return {"residual": float(self.residual.mean()), **spent, "seconds_own": own}


ImagesBySeed = dict[tuple[str, int], MethodImages]
"""The images of a cell, by method name and seed."""
