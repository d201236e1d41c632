"""``processes:N``: N processes of this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cryoprior.devices import turn_about
from cryoprior.executors.contract import Watch
from cryoprior.executors.tasks import Outcome, Task
from cryoprior.interruption import deferred, ended_with_us

PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Processes:
    """So many processes at once on this machine; they end with this one."""

    count: int

    @property
    def threads(self) -> int:
        """Return the share of the processor that each process gets, 1 at least."""
        return max(1, (os.cpu_count() or 1) // self.count)

    def device(self, task: int, asked: str) -> str:
        """Return one accelerator after another, where this machine has several and the user named none of them."""
        return turn_about(task, asked)

    def width(self, shards: int) -> int:
        """Return the number of processes, or that of the shards where it is less."""
        return min(self.count, shards)

    def attach(self, folder: Path, watch: Watch) -> None:
        """Return at once: processes of this machine end with the one that started them."""

    def run(self, tasks: Sequence[Task], folder: Path, watch: Watch) -> list[Outcome]:
        """Return how the tasks ended; all of them run at once."""
        with ExitStack() as known:
            try:
                with deferred():  # a signal between start and entry would leave one running
                    running = [task.start() for task in tasks]
                    for process in running:
                        known.enter_context(ended_with_us(process.pid))
                while any(process.poll() is None for process in running):
                    watch()
                    time.sleep(PAUSE_SECONDS)
            finally:
                for task in tasks:
                    task.tell()
                for task in tasks:
                    task.stop()
        return [task.outcome(process.wait()) for task, process in zip(tasks, running, strict=True)]
