"""An operator that is no matrix, as another package may bring one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from cryoprior.operators import Identity


@dataclass(frozen=True, kw_only=True)
class Clipped(Identity):
    """Every pixel, clipped at 1."""

    linear: ClassVar[bool] = False

    def forward(self, x: Tensor, particles: Any = None) -> Tensor:
        return super().forward(x, particles).clamp_max(1)
