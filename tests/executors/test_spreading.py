"""Tasks are given out until all shards are done: lost ones again, refused ones never, hopeless ones not for ever."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cryoprior.errors import InputError
from cryoprior.executors import Task, spread
from cryoprior.executors.spreading import ATTEMPTS
from cryoprior.executors.tasks import Outcome, last_line

SHARDS = 7


class StandIn:
    """An executor of two tasks whose rounds end as a list of functions says; ``left`` is what they work on."""

    threads = None

    def __init__(self, rounds: Sequence[Callable[[StandIn], list[Outcome]]]) -> None:
        self.rounds, self.left, self.given, self.attached = list(rounds), SHARDS, [], 0

    def device(self, task: int, asked: str) -> str:
        return asked

    def width(self, shards: int) -> int:
        return min(2, shards)

    def attach(self, folder: Path, watch: Callable[[], None]) -> None:
        self.attached += 1
        watch()

    def run(self, tasks: Sequence[Task], folder: Path, watch: Callable[[], None]) -> list[Outcome]:
        self.given.append([task.words for task in tasks])
        watch()
        return self.rounds.pop(0)(self)

    def work(self, count: int, *codes: int | None, said: str = "") -> list[Outcome]:
        self.left -= count
        return [Outcome(code, said) for code in codes]


def words(task: int, tasks: int) -> tuple[str, ...]:
    return ("reconstruct", f"--shard={task}/{tasks}")


def spread_over(executor: StandIn, tmp_path: Path) -> None:
    spread(executor, words, lambda: executor.left, tmp_path, "reconstruct")


def test_all_is_done_in_one_round(tmp_path: Path) -> None:
    executor = StandIn([lambda e: e.work(SHARDS, 0, 0)])
    spread_over(executor, tmp_path)
    assert executor.given == [[words(0, 2), words(1, 2)]]
    assert executor.attached == 1


def test_nothing_is_given_out_where_nothing_is_left(tmp_path: Path) -> None:
    executor = StandIn([])
    executor.left = 0
    spread_over(executor, tmp_path)
    assert executor.given == []


def test_lost_tasks_are_given_out_again_as_long_as_there_is_progress(tmp_path: Path) -> None:
    executor = StandIn([lambda e: e.work(1, None, None)] * (SHARDS - 1) + [lambda e: e.work(1, 0)])
    spread_over(executor, tmp_path)
    assert len(executor.given) == SHARDS
    assert executor.given[-1] == [words(0, 1)]


def test_tasks_that_fail_again_and_again_are_given_up_with_their_last_words(tmp_path: Path) -> None:
    executor = StandIn([lambda e: e.work(0, 1, 1, said="CUDA error: out of memory")] * ATTEMPTS)
    with pytest.raises(InputError, match=r"7 shards are not done after 3 attempts; .*jobs says: CUDA error: out of"):
        spread_over(executor, tmp_path)
    assert len(executor.given) == ATTEMPTS


def test_what_is_refused_is_refused_once_and_in_its_own_words(tmp_path: Path) -> None:
    executor = StandIn([lambda e: e.work(3, 0, 2, said="error: y.zarr: chunk 3 is damaged; measure again")])
    with pytest.raises(InputError, match=r"^y\.zarr: chunk 3 is damaged; measure again$"):
        spread_over(executor, tmp_path)


def test_a_task_that_comes_too_late_is_no_failure(tmp_path: Path) -> None:
    spread_over(
        StandIn([lambda e: e.work(SHARDS, 0, 2, said="error: in use by this run, which is finished")]), tmp_path
    )


def test_a_task_is_stopped_by_a_handler_while_it_is_waited_for(tmp_path: Path) -> None:
    """As SLURM does it: Python's own lock on the process is held where the signal arrives."""
    task = Task(("--help",), str(tmp_path), str(tmp_path / "log"))
    asleep = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    task._process = asleep
    stopped: list[float] = []

    def handler(number: int, frame: object) -> None:
        task.stop(5.0)
        stopped.append(time.monotonic())

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        start = time.monotonic()
        asleep.wait()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert stopped
    assert stopped[0] - start < 5


def test_the_last_line_of_a_log_is_the_last_that_says_anything(tmp_path: Path) -> None:
    log = tmp_path / "task.log"
    assert last_line(log) == ""
    log.write_text("first\nlast word \n\n  \n")
    assert last_line(log) == "last word"
