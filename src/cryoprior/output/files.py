"""Single files that are whole or absent, and on the disk before they take their name."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})
"""What file systems say that cannot be told to write to the disk; anything else means that content is lost."""
_PARTIAL = re.compile(r"\.[0-9a-f]{8}\.partial\..+", re.DOTALL)


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """Yield a hidden sibling to write, with the same suffix; it takes the name on success and vanishes on failure."""
    path = Path(path)
    partial = path.with_name(f".{secrets.token_hex(4)}.partial.{path.name}")
    try:
        yield partial
        sync(partial)
        partial.replace(path)
        sync(path.parent)
    finally:
        with suppress(OSError):  # the failure that led here is the one to tell
            partial.unlink(missing_ok=True)


def write_whole(path: Path | str, content: str | bytes) -> Path:
    """Return the path, written at once with this text (UTF-8) or these bytes."""
    with whole_file(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(path)


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
