"""SIGTERM and Ctrl-C: raised at once, or at the end of what must be finished; and nothing for a caller in Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from cryoprior import interruption
from cryoprior.interruption import Interrupted, Stop, check_interrupted, deferred, interruptible
from cryoprior.progress import track


def send(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # Python runs the handler between two steps of its own


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_the_run_at_once(number: signal.Signals, code: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as stopped, interruptible():
        send(number)
        pytest.fail("the run went on")
    assert (stopped.value.exit_code, stopped.value.name) == (code, number.name)
    assert signal.getsignal(number) is before


def test_what_is_begun_is_finished_first() -> None:
    done = []
    with pytest.raises(Interrupted), interruptible():
        with deferred() as stop:
            assert not stop.requested
            with deferred():
                send()
                done.append("inner")
            assert stop.requested
            check_interrupted()  # waits, too
            done.append("outer")
        pytest.fail("the run went on")
    assert done == ["inner", "outer"]


def test_cleaning_up_is_not_interrupted_again() -> None:
    cleaned = []
    with pytest.raises(Interrupted), interruptible():
        try:
            with deferred() as stop:
                send()
                stop.interrupt()
        finally:
            with deferred():
                cleaned.append(1)
            cleaned.append(2)
    assert cleaned == [1, 2]


def test_a_signal_that_a_library_swallowed_is_raised_at_the_next_step() -> None:
    def swallowing() -> None:
        with suppress(Interrupted):
            send()

    with pytest.raises(Interrupted), interruptible():
        for step in track(range(3), "steps"):
            assert step == 0
            swallowing()


def test_a_caller_in_python_keeps_its_own_handling() -> None:
    with pytest.raises(KeyboardInterrupt), deferred() as stop:
        assert isinstance(stop, Stop)
        send(signal.SIGINT)
        pytest.fail("Ctrl-C waited")
    assert not interruption.Stop().requested


SECOND = """
import os, signal, subprocess, sys, time
from cryoprior.interruption import deferred, ended_with_us, interruptible
child = subprocess.Popen(["sleep", "60"], process_group=0)
with interruptible(), ended_with_us(child.pid), deferred():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2)
    print(child.pid, flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc to see processes in")
def test_a_second_signal_ends_all_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", SECOND], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 130, done.stderr
    status = Path("/proc", done.stdout.strip(), "stat")  # a process that nobody waits for may stay as a zombie
    until = time.monotonic() + 10  # the system ends it when it gets to it
    while _runs(status) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(status)


def _runs(status: Path) -> bool:
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
