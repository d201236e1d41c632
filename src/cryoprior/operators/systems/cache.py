"""The singular systems that were asked for last, within a bound on their bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from cryoprior.operators.systems.system import System

#: Bytes of singular systems that one operator keeps: 1 GiB, 60 Bernoulli mask sets of K = 32, b = 192 in float32.
CACHE_BYTES = 2**30


class SystemCache:
    """Systems by key; the least recently used go first, the newest stays even where it alone exceeds the bound.

    A copy and a pickle are empty: a worker process builds what it needs.
    """

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self.limit = limit
        self._systems: OrderedDict[tuple[object, ...], System] = OrderedDict()

    def __reduce__(self) -> tuple[type[SystemCache], tuple[int]]:
        return SystemCache, (self.limit,)

    def __len__(self) -> int:
        return len(self._systems)

    @property
    def nbytes(self) -> int:
        """Return the bytes held now."""
        return sum(system.nbytes for system in self._systems.values())

    def get(self, key: tuple[object, ...], build: Callable[[], System]) -> System:
        """Return the system of the key, built where it is not held; drop the least recently used above the bound."""
        if key not in self._systems:
            self._systems[key] = build()
            while len(self._systems) > 1 and self.nbytes > self.limit:
                self._systems.popitem(last=False)
        self._systems.move_to_end(key)
        return self._systems[key]
