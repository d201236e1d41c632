"""A real SLURM of one node: tasks that are killed, stopped before their limit, drained, and left by their sender."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from cryoprior.io import finished_shards
from cryoprior.reconstruction.command import Options, run
from kit.folders import same_images
from kit.slurm_node import missing, said, slurm_node
from kit.stacks import many_measurements

WHY_NOT = missing() or ("" if find_spec("submitit") else "needs the extra cluster")
pytestmark = [pytest.mark.external, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "there")]

SIZE, PARTICLES = 10, 400
CHOSEN = {"solver": "total-variation:iterations=80", "shard_size": SIZE, "threads": 1, "batch": 5}
PROFILE = 'partition = "main"\ntime = "00:10:00"\ncpus = 1\nwidth = 2\ntasks = 8\n'
PATIENCE_SECONDS = 400  # SLURM itself lets a requeued job wait for some minutes


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with slurm_node(tmp_path_factory.mktemp("slurm")):
        yield


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return many_measurements(tmp_path_factory.mktemp("measured"), PARTICLES)


def sent(y: Path, output: Path, profile: Path) -> subprocess.Popen[bytes]:
    """Return the process of a reconstruction in the queue."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in CHOSEN.items()]
    words += [f"--output={output}", f"--executor=slurm:{profile}", str(y)]
    with output.with_suffix(".log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "cryoprior", "reconstruct", *words], stdout=log, stderr=log)


def wait_for(what: Callable[[], object], log: Path) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < until, f"{log.read_text()}\n{said('squeue', '--array')}"
        time.sleep(0.2)


def running(number: str) -> list[str]:
    """Return the tasks of an array that run now, as ``number_index``."""
    return said("squeue", "--noheader", "--array", f"--jobs={number}", "--states=R", "--format=%i").split()


def test_whatever_happens_to_tasks_and_sender_the_bytes_are_those_of_an_undisturbed_run(
    node: None, measured: Path, tmp_path: Path
) -> None:
    profile, output = tmp_path / "profile.toml", tmp_path / "queued"
    profile.write_text(PROFILE)
    run(Options(measured, tmp_path / "alone", **CHOSEN))
    sender = sent(measured, output, profile)
    log, numbers = output.with_suffix(".log"), output / "jobs/slurm.json"
    wait_for(numbers.is_file, log)
    array = json.loads(numbers.read_text())[0].split("_")[0]

    wait_for(lambda: len(running(array)) == 2, log)
    lost, warned = running(array)
    os.kill(sender.pid, signal.SIGKILL)  # the sender dies; its jobs do not mind
    sender.wait()
    wait_for(lambda: finished_shards(output), log)
    said("scancel", lost)  # a task is lost for good
    with suppress(subprocess.TimeoutExpired):  # the job is queued again at once, and scancel waits for it
        subprocess.run(["scancel", "--signal=USR2", warned], timeout=5, check=False)  # as before its time limit
    sender = sent(measured, output, profile)  # the same command again: it finds the jobs in the queue
    wait_for(lambda: len(finished_shards(output)) > PARTICLES // SIZE // 3, log)
    host = said("sinfo", "--noheader", "--format=%n")
    said("scontrol", "update", f"nodename={host}", "state=drain", "reason=test")
    some = running(array)
    if some:
        said("scontrol", "requeue", some[0])
    time.sleep(3)
    said("scontrol", "update", f"nodename={host}", "state=resume")
    wait_for(lambda: sender.poll() is not None, log)
    assert sender.returncode == 0, log.read_text()
    text = log.read_text()
    assert "are in the queue already; waiting for them" in text
    assert text.count("tasks as SLURM job") >= 2, "what the cancelled task left was never sent again"
    assert "Requeued job" in "".join(path.read_text() for path in numbers.parent.glob("*_log.out"))
    same_images(tmp_path / "alone", output)


def test_a_queue_that_refuses_is_named_in_a_line(node: None, measured: Path, tmp_path: Path) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text('partition = "nowhere"\n')
    sender = sent(measured, tmp_path / "queued", profile)
    assert sender.wait(60) == 2
    text = (tmp_path / "queued.log").read_text()
    assert "slurm: the queue refused the jobs" in text
    assert "Traceback" not in text
    assert not (tmp_path / "queued").exists() or not finished_shards(tmp_path / "queued")
    shutil.rmtree(tmp_path / "queued", ignore_errors=True)
