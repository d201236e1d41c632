"""A foreign program ends, with all that it started, when this one is told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from cryoprior.errors import InputError
from cryoprior.external import program
from cryoprior.external.program import Program
from cryoprior.interruption import Interrupted, interruptible

ASKED = "trap 'exit 0' TERM"
DEAF = "trap '' TERM"


def script(folder: Path, body: str) -> Program:
    path = folder / "foreign"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return Program("foreign", str(path), "install it")


def is_running(pid: int) -> bool:
    status = Path("/proc", str(pid), "stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(path: Path) -> str:
    last = time.monotonic() + 20
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < last, f"{path.name} did not appear"
        time.sleep(0.01)
    return path.read_text()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc to see processes in")
@pytest.mark.parametrize("minds", [ASKED, DEAF])
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_program_ends_with_its_helpers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minds: str, stop: signal.Signals
) -> None:
    monkeypatch.setattr(program, "PATIENCE_SECONDS", 0.5)
    foreign = script(tmp_path, f"{minds}\nsleep 60 &\necho $$ $! > pids\nwait\nsleep 60")
    seen: list[int] = []

    def tell() -> None:
        seen.extend(map(int, wait_for(tmp_path / "pids").split()))
        os.kill(os.getpid(), stop)

    teller = threading.Thread(target=tell)
    teller.start()
    start = time.monotonic()
    with pytest.raises(Interrupted), interruptible():
        foreign.run([foreign.executable], folder=tmp_path, log=tmp_path / "log.txt")
    teller.join()
    assert time.monotonic() - start < 20
    last = time.monotonic() + 5
    while any(map(is_running, seen)) and time.monotonic() < last:
        time.sleep(0.01)
    assert len(seen) == 2
    assert not any(map(is_running, seen))


def test_a_signal_while_a_program_starts_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal comes when the program runs already and its starter does not know it yet."""
    monkeypatch.setattr(program, "PATIENCE_SECONDS", 0.5)
    started: list[subprocess.Popen[bytes]] = []

    class Signalled(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *words: object, **given: object) -> None:
            super().__init__(*words, **given)  # type: ignore[call-overload]
            started.append(self)
            os.kill(os.getpid(), signal.SIGTERM)

    foreign = script(tmp_path, "sleep 60")
    monkeypatch.setattr(program.subprocess, "Popen", Signalled)
    with pytest.raises(Interrupted), interruptible():
        foreign.run([foreign.executable], folder=tmp_path, log=tmp_path / "log.txt")
    assert started[0].poll() is not None


def test_how_a_program_ended_is_told(tmp_path: Path) -> None:
    for body, how in (("echo no map; exit 3", "failed (3)"), ("kill -9 $$", "was killed by signal 9")):
        foreign = script(tmp_path, body)
        with pytest.raises(InputError) as raised:
            foreign.run([foreign.executable], folder=tmp_path, log=tmp_path / "log.txt")
        assert how in str(raised.value)
