"""What the machine refuses, in one line: what was used, what happened, what to do, and the exit code.

Exit codes: 2 where another input or output would do (no permission, a file where a folder is expected); 74 where the
machine gives out (a disk that is full or fails, too little memory), as EX_IOERR of sysexits.h; 1 where the program
itself is at fault.
"""

from __future__ import annotations

import errno
import os
import traceback
from dataclasses import dataclass
from pathlib import Path

from cryoprior.errors import DEVICE_FAILURES
from cryoprior.output.files import error_number, shown_path

AT_FAULT, UNUSABLE, GAVE_OUT = 1, 2, 74
PACKAGE = "cryoprior"
GONE = "is it still there, and all folders above it? Give the right path, or run the command again"
KNOWN = {
    errno.ENOSPC: "the disk is full; make room, or pass another <output>",
    errno.EDQUOT: "the quota on this disk is used up; make room, or pass another <output>",
    errno.EIO: "the disk failed (input/output error); see what the system's log says of it, or pass another <output>",
    errno.ESTALE: "the network disk lost this file (stale handle); mount it again",
    errno.EACCES: "no permission; expected the right to read what is read and to write the output; ask for it, or pass "
    "another path",
    errno.EPERM: "the system does not permit this; expected the right to write the output; pass another <output>",
    errno.EROFS: "the file system is read-only; pass another <output>",
    errno.ENOENT: f"no such file or folder; {GONE}",
    errno.ENOTDIR: "a part of this path is a file; expected folders; pass another path",
    errno.EISDIR: "a folder; expected a file; pass another path",
    errno.EEXIST: "something else has this name by now; expected a name of its own; pass another <output>",
    errno.ENOTEMPTY: "something else was put into this folder; expected one of its own; pass another <output>",
    errno.ENAMETOOLONG: "the name is too long for this file system; pass a shorter <output>",
    errno.ELOOP: "links that lead to one another; expected a file or a folder; pass another path",
    errno.EFBIG: "the file would be larger than this system allows; see `ulimit -f`, or write to another disk",
    errno.EMFILE: "too many open files; raise the limit with `ulimit -n 4096`",
    errno.ENFILE: "too many open files on this machine; end other programs",
    errno.ENOMEM: "out of memory; end other programs, or take a machine with more",
}
MACHINE = DEVICE_FAILURES | {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory", "bad_alloc")
"""How libraries that raise errors of their own tell that memory is used up."""


@dataclass(frozen=True)
class Failure:
    """One line, with options as ``<output>``, and the exit code that goes with it."""

    message: str
    exit_code: int


def failure_of(error: Exception, *, resumes: bool = False, batched: bool = False) -> Failure | None:
    """Return how a failure of the machine is told, None for anything else.

    Parameters
    ----------
    resumes: the command goes on with an unfinished run when it is told to (``<resume>``).
    batched: the command takes fewer particles at a time when it is told to (``<batch>``).
    """
    again = f"; then run the command again{' with <resume>' if resumes else ''}"
    if _is_memory(error):
        less = "pass a smaller <batch>" if batched else "end other programs, or take a machine with more"
        return Failure(f"out of memory ({_first_line(error)}); {less}{again}", GAVE_OUT)
    number = error_number(error)
    if number is None:
        return None
    code = GAVE_OUT if number in MACHINE or number not in KNOWN else UNUSABLE
    happened = KNOWN.get(number, f"{os.strerror(number)}; see what the system's log says of it")
    named = _name(error)
    return Failure(f"{f'{named}: ' if named else ''}{happened}{again if code == GAVE_OUT else ''}", code)


def fault_of(error: Exception) -> Failure:
    """Return how a fault of the program is told: what it is, where it is, and that it is to be reported."""
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if PACKAGE in Path(frame.filename).parts]
    where = f", {'/'.join(Path(ours[-1].filename).parts[-2:])} line {ours[-1].lineno}" if ours else ""
    said = f"{type(error).__name__}: {_first_line(error)}"
    again = "run the command again with <verbose=True>, and report all that it says"
    return Failure(f"this program is at fault ({said}{where}); {again}", AT_FAULT)


def _is_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in NO_MEMORY)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].rstrip(". ")[:200] or type(error).__name__


def _name(error: Exception) -> str:
    """Return the file or folder of an error, as a user knows it; of two, the one that was to be there."""
    name = getattr(error, "filename2", None) or getattr(error, "filename", None)
    return str(shown_path(os.fsdecode(name))) if isinstance(name, (str, bytes, os.PathLike)) else ""
