"""What an executor promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from cryoprior.executors.tasks import Outcome, Task

Watch = Callable[[], None]
"""Called every so often while tasks run: it moves the bar, and raises where the run was told to stop."""


@runtime_checkable
class Executor(Protocol):
    """Runs command lines somewhere, and says how each ended.

    Tasks are idempotent: a task that is run again goes on where it was, and one that has nothing to do ends at once.
    So an executor may lose tasks; :func:`cryoprior.executors.spread` runs them again.
    """

    @property
    def threads(self) -> int | None:
        """Return the processor threads that a task may use; None where that is not known."""
        ...

    def device(self, task: int, asked: str) -> str:
        """Return the device of the i-th task, where the user asked for one."""
        ...

    def width(self, shards: int) -> int:
        """Return into how many tasks that many shards are best divided."""
        ...

    def attach(self, folder: Path, watch: Watch) -> None:
        """Wait for tasks of this run that an earlier process started and that run still."""
        ...

    def run(self, tasks: Sequence[Task], folder: Path, watch: Watch) -> list[Outcome]:
        """Return how the tasks ended, in order; what they print is kept in the folder.

        Raises
        ------
        InputError: the machine, the queue or the cluster that was named is not there.
        """
        ...
