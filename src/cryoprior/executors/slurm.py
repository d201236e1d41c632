"""``slurm:PROFILE.toml``: an array of jobs in a SLURM queue, by submitit.

A task that comes near its time limit, or is preempted, is told to stop, ends at a safe point and is queued again. Jobs
do not need the process that sent them: killed and started again, it finds their numbers and waits for them.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.executors.contract import Watch
from cryoprior.executors.profile import SlurmProfile
from cryoprior.executors.tasks import Outcome, Task
from cryoprior.output.files import write_whole

NUMBERS = "slurm.json"
POLL_SECONDS = 2.0
REQUEUES = 1000
"""How often a task may reach its time limit: each time it has done more of its shards."""

log = logging.getLogger("cryoprior")


class Requeued:
    """A task that a job runs, and that SLURM starts again where it was told to stop."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(self) -> Outcome:
        """Return how the task ended."""
        return self.task()

    def checkpoint(self) -> Any:
        """Return what the job does when it is started again, after the command has stopped at a safe point."""
        from submitit.helpers import DelayedSubmission

        self.task.stop()
        return DelayedSubmission(Requeued(self.task))


@dataclass(frozen=True)
class Slurm:
    """A SLURM queue, as its profile describes it."""

    profile: SlurmProfile

    @property
    def threads(self) -> int:
        """Return the processors that the profile asks for."""
        return self.profile.cpus

    def device(self, task: int, asked: str) -> str:
        """Return the device that was asked for: SLURM shows each job its own."""
        return asked

    def width(self, shards: int) -> int:
        """Return the number of tasks: what the profile says, else as many as may run at once."""
        return min(self.profile.tasks or self.profile.width, shards)

    def attach(self, folder: Path, watch: Watch) -> None:
        """Wait for jobs of this run that an earlier process sent and that are still in the queue."""
        numbers = _read_numbers(folder / NUMBERS)
        if numbers and _queued(numbers):
            log.info("jobs %s of this run are in the queue already; waiting for them", numbers[0].split("_")[0])
            _wait(numbers, watch)

    def run(self, tasks: Sequence[Task], folder: Path, watch: Watch) -> list[Outcome]:
        """Return how the tasks ended, after their jobs have left the queue."""
        if shutil.which("sbatch") is None:
            raise InputError("slurm: no sbatch on the PATH; run this where jobs can be sent, or take <executor=local>")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            jobs = self._send(folder, tasks)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"slurm: the queue refused the jobs: {_short(error)}; correct the profile") from error
        numbers = [job.job_id for job in jobs]
        write_whole(folder / NUMBERS, json.dumps(numbers) + "\n")
        log.info("sent %d tasks as SLURM job %s; they go on without this process", len(jobs), numbers[0].split("_")[0])
        _wait(numbers, watch)
        return [_outcome(job) for job in jobs]

    def _send(self, folder: Path, tasks: Sequence[Task]) -> list[Any]:
        executor = self._executor(folder)
        with executor.batch():
            return [executor.submit(Requeued(task)) for task in tasks]

    def _executor(self, folder: Path) -> Any:
        try:
            from submitit import SlurmExecutor
        except ImportError as error:
            raise InputError("slurm: submitit is not installed; pip install 'cryoprior[cluster]'") from error
        said = self.profile
        executor = SlurmExecutor(folder=folder, max_num_timeout=REQUEUES)
        more = {
            name: getattr(said, name) for name in ("partition", "account", "qos", "constraint") if getattr(said, name)
        }
        if said.gpus:
            more["gpus_per_node"] = said.gpus
        if said.memory:
            more["mem"] = said.memory
        executor.update_parameters(
            job_name="cryoprior", time=said.minutes, cpus_per_task=said.cpus, array_parallelism=said.width,
            signal_delay_s=said.warning_seconds, setup=list(said.setup), stderr_to_stdout=True, **more,
        )  # fmt: skip
        return executor


def _outcome(job: Any) -> Outcome:
    """Return how a job ended: lost where it left no result."""
    try:
        kind, value = job._get_outcome_and_result()
    except Exception:  # noqa: BLE001 - killed, or its node was: no result was written
        return Outcome(None)
    return value if kind == "success" and isinstance(value, Outcome) else Outcome(None, _short(str(value)))


def _wait(numbers: Sequence[str], watch: Watch) -> None:
    while _queued(numbers):
        until = time.monotonic() + POLL_SECONDS
        while time.monotonic() < until:
            watch()
            time.sleep(0.1)


def _queued(numbers: Sequence[str]) -> bool:
    """Return whether SLURM still has one of the jobs; a queue that does not answer is asked again."""
    arrays = sorted({number.split("_")[0] for number in numbers})
    asked = ["squeue", "-h", "-r", "-o%i", f"-j{','.join(arrays)}"]
    for attempt in range(5):
        try:
            done = subprocess.run(asked, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        except OSError as error:
            raise InputError(f"slurm: squeue cannot be run ({error}); run this where the queue can be seen") from error
        if done.returncode == 0:
            return bool(done.stdout.strip())
        if "Invalid job id" in done.stderr:  # all of them are long gone
            return False
        time.sleep(POLL_SECONDS * (attempt + 1))
    raise InputError(f"slurm: the queue does not answer: {done.stderr.strip()}; start the same command again later")


def _read_numbers(path: Path) -> list[str]:
    try:
        numbers = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    return [number for number in numbers if isinstance(number, str)] if isinstance(numbers, list) else []


def _short(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
