"""Running a foreign program: found on the PATH, its output kept in a log, its failure reported with the log's end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cryoprior.errors import InputError
from cryoprior.interruption import deferred, ended_with_us

TAIL_LINES = 15
TAIL_BYTES = 1 << 14
PATIENCE_SECONDS = 5.0
"""How long a program that was told to end may take."""


@dataclass(frozen=True)
class Program:
    """A foreign program: its name, the executable that shows whether it is there, and how to get it.

    variable: the variable of the environment that may name its executable, for a program in an environment of its own.
    """

    name: str
    executable: str
    how_to_get: str
    variable: str | None = None

    @property
    def path(self) -> Path | None:
        """Return its executable: as the variable says, else beside this Python, else on the PATH; None if nowhere."""
        named = os.environ.get(self.variable) if self.variable else None
        beside = Path(sys.executable).with_name(self.executable)
        return _executable(named or beside) or (None if named else _executable(self.executable))

    def find(self, executable: Path | str | None = None) -> Path:
        """Return the path of an executable of the program: of the one that is named, else :attr:`path`.

        Raises
        ------
        InputError: it is not there.
        """
        path = _executable(executable) if executable is not None else self.path
        if path is not None:
            return path
        named = os.environ.get(self.variable) if self.variable and executable is None else None
        if named:
            raise InputError(f"{self.name}: {self.variable} names {named}, which is no executable; {self.how_to_get}")
        raise InputError(f"{self.name}: no {executable or self.executable} on the PATH; {self.how_to_get}")

    def run(
        self,
        arguments: Sequence[str | Path | float],
        *,
        folder: Path,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Run the program in a folder; what it prints is added to the log, its command line first.

        Parameters
        ----------
        arguments: the executable's name, looked up on the PATH, and its arguments.
        folder: where it runs, so that it finds files by relative names.
        log: kept, whatever happens.
        environment: variables set for it beside those of this process.

        Raises
        ------
        InputError: the executable is not there, or leaves with another code than 0; the message ends with what it
            printed last.
        """
        words = [str(self.find(str(arguments[0]))), *(str(word) for word in arguments[1:])]
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            file.write(f"$ {' '.join(words)}\n".encode())
            file.flush()
            code = _waited(words, folder, {**os.environ, **(environment or {})}, file)
        if code:
            how = f"was killed by signal {-code}" if code < 0 else f"failed ({code})"
            raise InputError(f"{self.name}: {arguments[0]} {how}; its log is {log}, which ends with\n{tail(log)}")

    def answer(self, arguments: Sequence[str]) -> str:
        """Return what the program prints, for questions that it answers at once, such as that for its version.

        Raises
        ------
        InputError: the executable is not there.
        """
        words = [str(self.find(arguments[0])), *arguments[1:]]
        done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        return done.stdout + done.stderr


def _waited(words: Sequence[str], folder: Path, variables: Mapping[str, str], log: BinaryIO) -> int:
    """Return the exit code of a program; it ends, with all that it started, where this process is told to stop."""
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
    process: subprocess.Popen[bytes] | None = None
    with ExitStack() as known:
        try:
            with deferred():  # a signal between its start and here would leave it running
                process = subprocess.Popen(words, cwd=folder, env=dict(variables), process_group=0, **given)
                known.enter_context(ended_with_us(process.pid))
            return process.wait()
        except BaseException:
            if process is not None:
                _end(process)
            raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and its group: politely, and by force when it does not mind."""
    with deferred():
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_SECONDS)
            os.killpg(process.pid, signal.SIGKILL)  # its helpers too, where it left any
        process.wait()


def _executable(name: Path | str) -> Path | None:
    path = shutil.which(Path(name).expanduser())
    return Path(path).absolute() if path else None


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log, a progress bar that was drawn over itself as it last looked."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        text = file.read().decode(errors="replace")
    shown = (line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n"))
    return "\n".join([line for line in shown if line][-lines:])
