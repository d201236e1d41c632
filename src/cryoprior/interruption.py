"""SIGTERM and Ctrl-C: what they raise, and where they have to wait.

A scheduler that preempts a job sends SIGTERM; a user presses Ctrl-C. Inside :func:`interruptible`, which the command
line alone enters, either raises :class:`Interrupted` in the main thread, at once, or at the end of the
:func:`deferred` block that it arrives in. A second signal ends the process, and what it started, at once. A caller in
Python keeps Python's own handling: nothing in this file does anything for it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Literal, NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SAME_SECONDS = 0.1
"""A signal this soon after the first one is the same one: a launcher passes on what its whole group was sent."""


class Interrupted(BaseException):
    """A run was told to stop.

    signal: the number of the signal. output: what the run was writing, None where it was not writing yet.
    left: what is there of it: ``nothing``, a run that ``begun`` and that can go on, or all of it, ``finished``.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number
        self.output: Path | None = None
        self.left: Literal["nothing", "begun", "finished"] = "nothing"

    @property
    def exit_code(self) -> int:
        """Return 143 for SIGTERM and 130 for Ctrl-C, as shells count them."""
        return 128 + self.signal

    @property
    def name(self) -> str:
        """Return the name of the signal."""
        return signal.Signals(self.signal).name


@dataclass
class _State:
    """What has arrived in this process, and whether it has to wait."""

    active: bool = False
    depth: int = 0
    arrived: int | None = None
    since: float = 0.0
    raised: bool = False
    groups: set[int] = field(default_factory=set)
    """Process groups of foreign programs that run now."""


_state = _State()


class Stop:
    """Whether a signal waits for the end of a :func:`deferred` block."""

    @property
    def requested(self) -> bool:
        """Return whether the run was told to stop."""
        return _state.active and _state.arrived is not None

    @property
    def signal(self) -> int:
        """Return the number of the signal that waits; SIGTERM where another process of the run was told."""
        return _state.arrived or signal.SIGTERM

    def interrupt(self) -> NoReturn:
        """Raise Interrupted before the block ends."""
        _state.raised = True
        raise Interrupted(self.signal)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and Ctrl-C raise Interrupted in the main thread until the block ends; a no-op in other threads."""
    if threading.current_thread() is not threading.main_thread() or _state.active:
        yield
        return
    before = {number: signal.signal(number, _arrive) for number in SIGNALS}
    _state.active, _state.depth, _state.arrived, _state.raised = True, 0, None, False
    try:
        yield
    finally:
        _state.active = False
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deferred() -> Iterator[Stop]:
    """Let a signal wait for the end of the block: what is begun in it is finished. Yield whether one waits."""
    if not _state.active or threading.current_thread() is not threading.main_thread():
        yield Stop()
        return
    _state.depth += 1
    try:
        yield Stop()
    finally:
        _state.depth -= 1
    if not _state.raised:
        check_interrupted()


def check_interrupted() -> None:
    """Raise Interrupted where the run was told to stop, and nothing defers it: a safe point of a long loop."""
    if _state.active and _state.arrived is not None and not _state.depth:
        _state.raised = True
        raise Interrupted(_state.arrived)


@contextmanager
def ended_with_us(group: int) -> Iterator[None]:
    """Name a process group that a second signal ends together with this process."""
    _state.groups.add(group)
    try:
        yield
    finally:
        _state.groups.discard(group)


def _arrive(number: int, _: FrameType | None) -> None:
    now = time.monotonic()
    if _state.arrived is not None:
        if now - _state.since > SAME_SECONDS:
            _leave(number)
        return
    _state.arrived, _state.since = number, now
    check_interrupted()


def _leave(number: int) -> None:
    """End what this process started, and the process, without a further step."""
    for group in _state.groups:
        with suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    if "multiprocessing" in sys.modules:
        import multiprocessing

        for child in multiprocessing.active_children():
            child.kill()
    os._exit(128 + number)
