"""The parts of a run, given to an executor until all of them are done."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cryoprior.errors import InputError
from cryoprior.executors.contract import Executor
from cryoprior.executors.tasks import Outcome, Task
from cryoprior.interruption import check_interrupted
from cryoprior.progress import track

ATTEMPTS = 3
"""How often a run is given out without one shard more being done, before it is given up."""
LOOK_SECONDS = 2.0
"""Between two looks at what is done: a folder of a shared file system is read for it."""
FOLDER = "jobs"
"""In the output: what tasks printed."""

log = logging.getLogger("cryoprior")


def spread(
    executor: Executor, words: Callable[[int, int], Sequence[str]], left: Callable[[], int], output: Path, name: str
) -> None:
    """Let an executor do what is left of a run; tasks that were lost are given out again.

    Parameters
    ----------
    words: the command line of the i-th of n tasks, without the program's name.
    left: how many shards are not done.
    output: the folder of the run; what tasks print is kept in its ``jobs/``.
    name: of the command, beside the bar.

    Raises
    ------
    InputError: a task was refused what it asked for, or tasks fail again and again; with the last line that one wrote.
    """
    folder = output / FOLDER
    bar = _Bar(left, name)
    executor.attach(folder, bar.move)
    attempts, before = 0, left()
    while before:
        count = executor.width(before)
        here = str(Path.cwd())
        tasks = [Task(tuple(words(i, count)), here, str(folder / f"task-{i}.log")) for i in range(count)]
        outcomes = executor.run(tasks, folder, bar.move)
        now = left()
        if now:  # a task that was lost, and run again when all was done, is refused: there is nothing left to do
            _check(outcomes)
        attempts = attempts + 1 if now == before else 0
        if now and attempts == ATTEMPTS:
            said = next((outcome.said for outcome in outcomes if outcome.said), "they wrote nothing")
            raise InputError(f"{output}: {now} shards are not done after {ATTEMPTS} attempts; {folder} says: {said}")
        if now:
            log.warning("%s: %d shards were lost with their tasks; they are given out again", output, now)
        before = now


def _check(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.is_refusal:
            raise InputError(outcome.said.removeprefix("error: ").removeprefix("Error: "))


class _Bar:
    """A bar over the shards that were left at the start, moved by looking at how many are left."""

    def __init__(self, left: Callable[[], int], name: str) -> None:
        self._left, self._total, self._shown, self._looked = left, left(), 0, 0.0
        self._steps = track(iter(range(self._total)), name, total=self._total)

    def move(self) -> None:
        """Show how much is done by now; raise Interrupted where the run was told to stop."""
        check_interrupted()
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        done = self._total - self._left()
        while self._shown < done:
            next(self._steps, None)
            self._shown += 1
