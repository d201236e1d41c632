"""One lock per output, beside it and not in it, so that it outlives the replacement of the output."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryoprior.errors import DEVICE_FAILURES, InputError
from cryoprior.interruption import deferred

STARTING_SECONDS = 5.0
"""How long a process that shares an output waits for another one that is just opening it."""


class OutputLock:
    """A lock on ``.<name>.lock`` beside an output, held by one process, or by several that share the work.

    The file goes when the last holder lets go. Where the file system has no locks, the file itself is the lock.

    alone: whether nobody shares it.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.path = output.with_name(f".{output.name}.lock")
        self.alone = False
        self._handle = -1

    def hold(self, *, shared: bool = False) -> bool:
        """Take the lock and return True; return False where another process holds it in a way that excludes this."""
        while True:
            handle = self._open()
            try:
                fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                return False
            except OSError:  # a file system without locks
                os.close(handle)
                return self._hold_by_existence()
            if self._is_named(handle):
                self._handle, self.alone = handle, not shared
                if self.alone:
                    with suppress(OSError):  # who it is is a courtesy: the lock holds without a name in it
                        self._say_who(handle)
                return True
            os.close(handle)  # the last holder removed the file between opening and locking

    def share(self) -> None:
        """Let others share the lock that is held alone."""
        with suppress(OSError):  # a file system without locks: others stay out
            fcntl.flock(self._handle, fcntl.LOCK_SH)
            self.alone = False

    def release(self) -> None:
        """Let go; the file is removed unless others hold it."""
        if self._handle < 0:
            return
        with deferred(), suppress(OSError):  # a lock that nobody holds is no obstacle
            if not self._is_shared():
                self.path.unlink(missing_ok=True)
            os.close(self._handle)
        self._handle = -1

    def refusal(self) -> InputError:
        """Return the error that says who writes the output."""
        holder = ""
        with suppress(OSError):
            holder = self.path.read_text()[:200].strip()
        return InputError(
            f"{self.output}: another run is writing it{f' ({holder})' if holder else ''}; "
            "wait for that run, or pass another <output>"
        )

    def _is_shared(self) -> bool:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks
            return False
        return False

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            if error.errno in DEVICE_FAILURES:
                raise
            raise InputError(
                f"{self.output}: {self.path.name} cannot be written beside it ({error.strerror}); "
                "expected a folder with room and the right to write; pass another <output>"
            ) from None

    def _is_named(self, handle: int) -> bool:
        try:
            named = self.path.stat(follow_symlinks=False)
        except FileNotFoundError:
            return False
        held = os.fstat(handle)
        return (named.st_ino, named.st_dev) == (held.st_ino, held.st_dev)

    def _hold_by_existence(self) -> bool:
        if self.path.stat().st_size:  # it names its holder, who may be on another machine
            return False
        self._handle, self.alone = self._open(), True
        self._say_who(self._handle)
        return True

    @staticmethod
    def _say_who(handle: int) -> None:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)


@contextmanager
def locked(output: Path, *, shared: bool = False) -> Iterator[OutputLock]:
    """Yield the lock of an output, held alone at first; with ``shared``, shared where others share it already.

    Raises
    ------
    InputError: another run writes the output, or nothing can be written beside it.
    """
    lock = OutputLock(output)
    try:
        with deferred():
            if not (_hold_or_share(lock) if shared else lock.hold()):
                raise lock.refusal()
        yield lock
    finally:
        lock.release()


def _hold_or_share(lock: OutputLock) -> bool:
    last = time.monotonic() + STARTING_SECONDS
    while not (lock.hold() or lock.hold(shared=True)):
        if time.monotonic() > last:
            return False
        time.sleep(0.05)
    return True
