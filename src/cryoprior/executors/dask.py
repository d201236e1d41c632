"""``dask:ADDRESS``: the workers of a Dask cluster that runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.executors.contract import Watch
from cryoprior.executors.tasks import Outcome, Task

PAUSE_SECONDS = 0.2
PATIENCE_SECONDS = 20.0
"""How long a scheduler may take to answer."""


@dataclass(frozen=True)
class Dask:
    """A Dask cluster: the address of its scheduler, such as tcp://head:8786. Workers share the file system."""

    address: str

    @property
    def threads(self) -> None:
        """Return None: what a worker may use is said where it is started."""

    def device(self, task: int, asked: str) -> str:
        """Return the device that was asked for: which one a worker sees is said where it is started."""
        return asked

    def width(self, shards: int) -> int:
        """Return twice the number of workers, or that of the shards where it is less."""
        with self._client() as client:
            return min(2 * max(1, len(client.scheduler_info(n_workers=-1)["workers"])), shards)

    def attach(self, folder: Path, watch: Watch) -> None:
        """Return at once: Dask drops the tasks of a client that has gone."""

    def run(self, tasks: Sequence[Task], folder: Path, watch: Watch) -> list[Outcome]:
        """Return how the tasks ended; those of a worker that was lost are given to another one by Dask."""
        with self._client() as client:
            futures = [client.submit(task, pure=False) for task in tasks]
            while not all(future.done() for future in futures):
                watch()
                time.sleep(PAUSE_SECONDS)
            return [_outcome(future) for future in futures]

    def _client(self) -> Any:
        try:
            from distributed import Client
        except ImportError as error:
            raise InputError("dask: distributed is not installed; pip install 'cryoprior[cluster]'") from error
        try:
            connect: Any = Client  # without types of its own
            return connect(self.address, timeout=PATIENCE_SECONDS)
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(f"dask: no scheduler answers at {self.address}; start one, or correct it") from error


def _outcome(future: Any) -> Outcome:
    if future.status == "finished":
        result = future.result()
        return result if isinstance(result, Outcome) else Outcome(None)
    return Outcome(None, str(future.exception()).strip().splitlines()[-1] if future.status == "error" else "")
