"""Single files that are whole or absent, and on the disk before they take their name.

An error of the machine names the file that was being written, under the name that it would have had.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryoprior.errors import InputError
from cryoprior.interruption import deferred

_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})
"""What file systems say that cannot be told to write to the disk; anything else means that content is lost."""
_PARTIAL = re.compile(r"\.[0-9a-f]{8}\.partial\.(.+)", re.DOTALL)
_HIDDEN_FOLDER = re.compile(r"\.(.+)\.(?:[0-9a-f]{8}\.(?:partial|old)|next|lock)", re.DOTALL)
_FOREIGN_ERROR = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust, safetensors among them, tell the number of an error of the system."""


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """Yield a hidden sibling to write, with the same suffix; it takes the name on success and vanishes on failure."""
    path = Path(path)
    partial = path.with_name(f".{secrets.token_hex(4)}.partial.{path.name}")
    try:
        with naming(path):
            yield partial
        with deferred():
            sync(partial)
            partial.replace(path)
            sync(path.parent)
    finally:
        with deferred(), suppress(OSError):  # the failure that led here is the one to tell
            partial.unlink(missing_ok=True)


def write_whole(path: Path | str, content: str | bytes) -> Path:
    """Return the path, written at once with this text (UTF-8) or these bytes."""
    with whole_file(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(path)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give an error of the machine that names no file, as writing raises it, the name of what is being written."""
    try:
        yield
    except Exception as error:
        number = error_number(error)
        if number is None or getattr(error, "filename", None) is not None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def error_number(error: BaseException) -> int | None:
    """Return the number (errno) of an error of the system, one that a library wrapped too; None for other errors."""
    if isinstance(error, OSError):
        return error.errno
    told = None if isinstance(error, InputError) else _FOREIGN_ERROR.search(str(error))
    return int(told[1]) if told else None


def shown_path(path: Path | str) -> Path:
    """Return the path as a user knows it: files and folders in the making have the names that they will have."""
    parts = []
    for part in Path(path).parts:
        match = _PARTIAL.fullmatch(part) or _HIDDEN_FOLDER.fullmatch(part)
        parts.append(match[1] if match else part)
    return Path(*parts)


def is_partial(name: str) -> bool:
    """Return whether a file name is that of a file in the making; a killed process leaves it behind."""
    return _PARTIAL.fullmatch(name) is not None


def sync(path: Path) -> None:
    """Write a file's content, or a folder's names, to the disk; OSError where the disk says that it could not."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Write all files and folders below a folder, and the folder itself, to the disk."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if path.is_file() and not path.is_symlink():
                sync(path)
        sync(Path(place))
