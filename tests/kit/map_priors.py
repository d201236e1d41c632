"""Map priors for tests: the embedded one, and stand-ins that make of a map what a function says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from torch import Tensor

import cryoprior
from cryoprior.prior import MapPrior


@lru_cache(maxsize=1)
def embedded() -> MapPrior:
    """Return the map prior that comes with the package, on the processor."""
    return cryoprior.load_map_prior("default")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class StandIn(MapPrior):
    """A map prior that returns what a function makes of a map."""

    answer: Any = None

    def mean(self, volume: Tensor, voxel_size: float, ssnr: Tensor, *, block: int = 256) -> Tensor:
        made: Tensor = self.answer(volume)
        return made


def stand_in(answer: Callable[[Tensor], Tensor]) -> StandIn:
    """Return a map prior that answers so."""
    return StandIn(embedded().network, embedded().config, answer=answer)
