"""A warmed process that runs commands of the program, each in a forked child with bounds on memory and time.

Starting Python and torch takes seconds, a fork milliseconds. The process is separate from that of the tests, whose
threads would not survive a fork. It reads a line of JSON per command and answers with one.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEMORY_MIB = 2048
"""More than this is a fault."""
STOP_MIB = 3 * MEMORY_MIB
ADDRESS_BYTES = 24 << 30
SHOWN_CHARACTERS = 6000
IMPORTED = Path("imported.txt")
"""Where a child that others learn from leaves the names of the modules that it had to import."""
HEAVY = ("accelerate", "diffusers.training_utils", "diffusers.models.unets.unet_2d", "gemmi", "matplotlib.figure")
"""What commands import where they need it: here, once, and not in a child first."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    code: its exit code; negative for a signal; None where it was stopped for its time.
    """

    code: int | None
    seconds: float
    peak_mib: float
    text: str


class Server:
    """The warmed process; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Server:
        tests = str(Path(__file__).resolve().parents[1])
        given = [str(Path(place).resolve()) for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
        searched = os.pathsep.join([tests, *given])  # the process works in another folder
        environment = {**os.environ, "PYTHONPATH": searched, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
        environment |= {"HF_HUB_OFFLINE": "1", "NO_COLOR": "1", "COLUMNS": "200"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fuzz.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self.folder,
            env=environment,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def run(self, words: list[str], timeout: float = 20.0, *, learn: bool = False) -> Outcome:
        """Return how ``cryoprior WORDS`` ended; with ``learn`` later children start with what this one imported."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"words": words, "timeout": timeout, "learn": learn}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the warmed process is gone; its messages are above")
        return Outcome(**json.loads(answer))


def _warm() -> None:
    """Import what every command needs."""
    import torch

    from cryoprior.commands import COMMANDS, load_command

    torch.set_num_threads(1)
    for name in HEAVY:
        importlib.import_module(name)
    for name in COMMANDS.built_in:
        load_command(name)
    with contextlib.redirect_stdout(io.StringIO()):
        _ran(["validate", "--help"])  # the parser of the command line
    _share()


def _import_learnt() -> None:
    for name in IMPORTED.read_text().split():
        with contextlib.suppress(Exception):
            __import__(name)
    IMPORTED.unlink()
    _share()


def _share() -> None:
    """Keep the memory that is there shared with the children: the collector would write to it."""
    gc.collect()
    gc.freeze()


def _child(words: list[str], shown: Path, learn: bool, timeout: float) -> None:
    """Run the command in this process and leave with its code; 70 stands for an exception that came through."""
    code = 98
    try:
        os.setpgid(0, 0)
        target = os.open(shown, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(target, 1), os.dup2(target, 2), os.dup2(nothing, 0)
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        seconds = round(timeout) + 5  # where the server is killed, nobody else stops this process
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        known = set(sys.modules)
        code = _ran(words)
        if learn and (new := [name for name in sys.modules if name not in known]):
            IMPORTED.write_text("\n".join(new))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _ran(words: list[str]) -> int:
    from cryoprior.cli import main

    sys.argv = ["cryoprior", *words]
    try:
        main(words)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:  # noqa: BLE001  # whatever comes through is the finding
        traceback.print_exc()
        return 70
    return 0


def _resident_mib(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    except (OSError, ValueError, IndexError):
        return 0.0


def _forked(words: list[str], timeout: float, shown: Path, learn: bool) -> Outcome:
    start, highest, stopped = time.monotonic(), 0.0, False
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _child(words, shown, learn, timeout)
    while True:
        done, status, used = os.wait4(pid, os.WNOHANG)
        seconds = time.monotonic() - start
        if done:
            break
        highest = max(highest, _resident_mib(pid))
        if seconds > timeout or highest > STOP_MIB:
            stopped = seconds > timeout
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            _, status, used = os.wait4(pid, 0)
            break
        time.sleep(0.005)
    peak = max(highest, used.ru_maxrss / 1024)
    text = shown.read_text(errors="replace")[-SHOWN_CHARACTERS:] if shown.exists() else ""
    return Outcome(None if stopped else os.waitstatus_to_exitcode(status), seconds, peak, text)


def main() -> None:
    """Answer requests until there are none."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _warm()
    shown = Path("shown.txt").resolve()
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        outcome = _forked(request["words"], request["timeout"], shown, request["learn"])
        if request["learn"] and IMPORTED.exists():
            _import_learnt()
        answers.write(json.dumps(vars(outcome)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
