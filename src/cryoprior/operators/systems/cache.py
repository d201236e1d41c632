"""The singular systems that were asked for last, within a bound on their bytes."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Generic, Protocol, TypeVar, runtime_checkable

import torch

#: Bytes of singular systems that one operator keeps between calls: 1 GiB, 60 Bernoulli mask sets of K = 32, b = 192 in
#: float32.
CACHE_BYTES = 2**30
#: Share of the memory of the device that the systems of one call may take: workers of one machine share it.
SHARE_OF_MEMORY = 4

Key = tuple[object, ...]


@runtime_checkable
class Sized(Protocol):
    """What takes bytes."""

    @property
    def nbytes(self) -> int:
        """Return the bytes of all tensors."""
        ...


Held = TypeVar("Held", bound=Sized)


class SystemCache(Generic[Held]):
    """Systems by key; the least recently used go first, the newest stays even where it alone exceeds the bound.

    A call that goes through more systems than the bound holds would build every one of them anew each time. So those
    that it needs stay while it asks for them, up to ``most`` bytes; beyond that the first of them stay, and the rest
    are built for the moment. A copy and a pickle are empty: a worker process builds what it needs.

    Parameters
    ----------
    limit: bytes that stay between calls. most: bytes for one call, a quarter of the device's memory where None.
    """

    def __init__(self, limit: int = CACHE_BYTES, most: int | None = None) -> None:
        self.limit, self.most = limit, most
        self._systems: OrderedDict[Key, Held] = OrderedDict()

    def __reduce__(self) -> tuple[type[SystemCache[Held]], tuple[int, int | None]]:
        return SystemCache, (self.limit, self.most)

    def __len__(self) -> int:
        return len(self._systems)

    def __contains__(self, key: Key) -> bool:
        return key in self._systems

    @property
    def nbytes(self) -> int:
        """Return the bytes held now."""
        return sum(system.nbytes for system in self._systems.values())

    def get(
        self, key: Key, build: Callable[[], Held], needed: Collection[Key] = (), device: torch.device | None = None
    ) -> Held:
        """Return the system of the key, built where it is not held.

        needed: the keys of all systems that the present call asks for. device: where they lie.
        """
        if key in self._systems:
            self._systems.move_to_end(key)
            return self._systems[key]
        system = self._systems[key] = build()
        held = self.nbytes
        for other in [other for other in self._systems if other != key and other not in needed]:
            if held <= self.limit:
                break
            held -= self._systems.pop(other).nbytes
        if len(self._systems) > 1 and held > max(self.limit, self._most(device)):
            del self._systems[key]
        return system

    def _most(self, device: torch.device | None) -> int:
        if self.most is None:
            self.most = memory_bytes(device) // SHARE_OF_MEMORY
        return self.most


def memory_bytes(device: torch.device | None) -> int:
    """Return the bytes of memory of a device, those of the computer where it does not say."""
    if device is not None and device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
