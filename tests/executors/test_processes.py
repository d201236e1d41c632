"""Two processes make what one makes, bit for bit; one that is killed is made up for; a refusal is the command's own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cryoprior.errors import InputError
from cryoprior.executors.processes import Processes
from cryoprior.executors.tasks import Outcome, Task
from cryoprior.housekeeping import status
from cryoprior.reconstruction import running
from cryoprior.reconstruction.command import Options, run
from kit.folders import same_images
from kit.stacks import small_measurements

CHOSEN = {"solver": "least-squares", "shard_size": 2, "threads": 1}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_measurements(tmp_path_factory.mktemp("measured"))


def test_two_processes_make_what_one_makes(measured: Path, tmp_path: Path) -> None:
    alone = run(Options(measured, tmp_path / "one", **CHOSEN))
    spread = run(Options(measured, tmp_path / "two", executor="processes:2", **CHOSEN))
    same_images(tmp_path / "one", tmp_path / "two")
    timed = ("seconds", "seconds_network")
    assert {k: v for k, v in spread.items() if k not in timed} == {k: v for k, v in alone.items() if k not in timed}
    seen = status.run(status.Options(tmp_path / "two"))
    assert (seen["finished"], seen["time_left"]) == (True, "0:00:00")
    assert seen["shards"].split(" of ")[0] == seen["shards"].split(" of ")[1]
    with pytest.raises(InputError, match="finished"):
        run(Options(measured, tmp_path / "two", executor="processes:2", **CHOSEN))


class Killing(Processes):
    """Processes of which the first is killed in the first round, as soon as it has begun."""

    rounds: list[list[Outcome]]

    def run(self, tasks: Sequence[Task], folder: Path, watch: Callable[[], None]) -> list[Outcome]:
        killed = not self.rounds

        def watching() -> None:
            process = tasks[0]._process
            if killed and process is not None and process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            watch()

        self.rounds.append(super().run(tasks, folder, watching))
        return self.rounds[-1]


def test_a_process_that_is_killed_is_made_up_for(
    measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(Options(measured, tmp_path / "one", **CHOSEN))
    killing = Killing(2)
    object.__setattr__(killing, "rounds", [])
    options = Options(measured, tmp_path / "two", executor="processes:2", **CHOSEN)
    monkeypatch.setattr(running, "parse_executor", lambda text: killing)
    run(options)
    assert [outcome.code for outcome in killing.rounds[0]] == [-signal.SIGKILL, 0]
    assert len(killing.rounds) == 2
    same_images(tmp_path / "one", tmp_path / "two")


def test_options_that_the_executor_sees_to_are_refused(measured: Path, tmp_path: Path) -> None:
    for other in ({"shard": "0/2"}, {"merge": True}, {"overwrite": True}):
        with pytest.raises(InputError, match=f"executor.* with .*{next(iter(other))}"):
            Options(measured, tmp_path / "out", executor="processes:2", **other)
    with pytest.raises(InputError, match="no run of this program"):
        status.run(status.Options(tmp_path))
