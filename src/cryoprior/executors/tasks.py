"""A task: the command line of one part of a run, started in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

TAIL_BYTES = 1 << 13
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 30.0
"""How long a command that was told to stop may take to a safe point."""
BAD_INPUT = 2
"""The exit code of a command that was asked for what cannot be: it would be so again."""


@dataclass(frozen=True)
class Outcome:
    """How a task ended: its exit code, None where it was lost, and the last line that it wrote."""

    code: int | None
    said: str = ""

    @property
    def is_refusal(self) -> bool:
        """Whether the command refused what it was given, so that it need not be run again."""
        return self.code == BAD_INPUT


@dataclass(eq=False)
class Task:
    """Words of a command line of this program, and where it runs.

    words: without the program's name. folder: the working directory. log: where the output is kept.
    """

    words: tuple[str, ...]
    folder: str
    log: str
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> subprocess.Popen[bytes]:
        """Return the process of the command, which has begun, in a process group of its own."""
        Path(self.log).parent.mkdir(parents=True, exist_ok=True)
        with Path(self.log).open("ab") as log:
            words = [sys.executable, "-m", "cryoprior", *self.words]
            self._process = subprocess.Popen(
                words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
        return self._process

    def __call__(self) -> Outcome:
        """Return how the command ended, after it has: the whole task, in a process that waits for it."""
        process = self.start()
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
            return self.outcome(process.returncode)
        finally:
            self.stop()

    def outcome(self, code: int | None) -> Outcome:
        """Return the outcome for an exit code, with the last line of the log."""
        return Outcome(code, last_line(Path(self.log)))

    def tell(self) -> None:
        """Tell the command to stop, without waiting for it."""
        self._signal(signal.SIGTERM)

    def stop(self, patience: float = PATIENCE_SECONDS) -> None:
        """Tell the command to stop, where it still runs: it ends at a safe point, by force after ``patience`` seconds.

        It may be called by a handler of signals, while the process itself waits for the command.
        """
        self.tell()
        until = time.monotonic() + patience
        while self.is_running and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
        self._signal(signal.SIGKILL)
        while self.is_running:
            time.sleep(POLL_SECONDS)
        self._process = None

    @property
    def is_running(self) -> bool:
        """Whether the command was started here and has not ended.

        It is asked of the system. What Python knows of a process stands behind a lock, which the code that a signal
        interrupts may hold.
        """
        if self._process is None:
            return False
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:  # it was waited for
            return False

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.is_running:
            os.kill(self._process.pid, number)

    def __getstate__(self) -> dict[str, object]:
        """Return what is sent to another machine: the words, not the process."""
        return {"words": self.words, "folder": self.folder, "log": self.log, "_process": None}


def last_line(path: Path) -> str:
    """Return the last line of a file that is not empty, at most a few thousand bytes of it."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
