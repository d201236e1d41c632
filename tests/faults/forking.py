"""One command in a forked child, with one fault; the parent has all imports done, so that a run takes no start."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NONE, FAIL, FAIL_FROM, SHORT, KILL, SIGNAL = range(6)
"""What the preloaded library does with a call; the names are those of shim.c."""
PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Fault:
    """The call that is hit, counted from 1, and what happens to it: the error's or signal's number where one is."""

    at: int
    mode: int
    number: int = 0

    def __str__(self) -> str:
        names = {FAIL: "", FAIL_FROM: " from there on", SHORT: "short write", KILL: "SIGKILL", SIGNAL: ""}
        what = names[self.mode]
        if self.mode in (FAIL, FAIL_FROM):
            import errno

            what = errno.errorcode[self.number] + what
        if self.mode == SIGNAL:
            what = signal.Signals(self.number).name
        return f"{what} at call {self.at}"


@dataclass(frozen=True)
class Ran:
    """What a command did: its exit code (negative: the signal that ended it), its text, its calls, and what was hit."""

    code: int
    text: str
    calls: int
    hit: str
    seconds: float = 0.0
    """Of the processor."""


class Server:
    """Runs commands in forked children under the preloaded library."""

    def __init__(self, shim: Path, scratch: Path) -> None:
        self._shim: Any = ctypes.CDLL(str(shim))
        self._shim.fault_call.restype = self._shim.fault_name.restype = ctypes.c_char_p
        self._shim.fault_seen.restype = ctypes.c_long
        self._shim.fault_arm.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_int]
        self._scratch = scratch

    def run(self, words: Sequence[str], fault: Fault | None = None) -> Ran:
        """Run a command line to its end, with the fault or with none."""
        armed = fault or Fault(0, NONE)
        self._shim.fault_arm(armed.at, armed.mode, armed.number)
        before, text = os.times(), self._scratch / "text.txt"
        code = _waited(_forked(words, text))
        after = os.times()
        seconds = after.children_user + after.children_system - before.children_user - before.children_system
        hit = f"{self._shim.fault_call().decode()} {self._shim.fault_name().decode()}".strip()
        calls = self._shim.fault_seen()
        self._shim.fault_arm(0, NONE, 0)  # this process writes there, too
        return Ran(code, text.read_text(errors="replace"), calls, hit, seconds)

    def run_at_once(self, lines: Sequence[Sequence[str]]) -> list[Ran]:
        """Run several command lines at the same time, with no fault."""
        self._shim.fault_arm(0, NONE, 0)
        texts = [self._scratch / f"text{i}.txt" for i in range(len(lines))]
        children = [_forked(words, text) for words, text in zip(lines, texts, strict=True)]
        codes = [_waited(child) for child in children]
        return [Ran(code, text.read_text(errors="replace"), 0, "") for code, text in zip(codes, texts, strict=True)]

    def learn(self) -> None:
        """Import what the last command imported, so that further ones need not."""
        for name in (self._scratch / "text.modules").read_text().split():
            if name not in sys.modules:
                with contextlib.suppress(Exception):
                    __import__(name)


def _forked(words: Sequence[str], text: Path) -> int:
    """Return the number of a child that runs the command line; what it prints goes to a file."""
    pid = os.fork()
    if pid:
        return pid
    code = 98
    try:
        handle = os.open(text, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        from cryoprior.cli import main

        sys.argv = ["cryoprior", *words]
        try:
            main([*words, "--quiet"])
            code = 0
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
        except BaseException:  # noqa: BLE001  # as Python itself would end
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        text.with_suffix(".modules").write_text("\n".join(sys.modules))
    finally:
        os._exit(code)


def _waited(pid: int) -> int:
    last = time.monotonic() + PATIENCE_SECONDS
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > last:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return -999
        time.sleep(0.003)


def warm_up() -> None:
    """Import what all commands import; what each of them needs beside it is learnt from its first run."""
    import matplotlib as mpl

    mpl.use("Agg")
    import torch

    torch.set_num_threads(1)
    import cryoprior.cli  # noqa: F401


def errors_told(text: str) -> list[str]:
    """Return the lines that tell an error."""
    return re.findall(r"^error: .*$", text, re.MULTILINE)
