"""Output folders that appear whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryoprior.errors import InputError


@contextmanager
def claim_output(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty sibling folder ``.<name>.partial`` that becomes ``path`` on success and vanishes on failure.

    Raises
    ------
    InputError: the path is a file or a folder in use and ``overwrite`` is not set, or another run is writing it.
    """
    path = path.resolve()
    if _in_use(path) and not overwrite:
        raise InputError(f"{path}: the output is in use; pass another <output>, or <overwrite>")
    partial = path.with_name(f".{path.name}.partial")
    lock = _fresh_folder(path, partial)
    try:
        yield partial
        _replace(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def _in_use(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists()


def _fresh_folder(path: Path, partial: Path) -> int:
    partial.mkdir(parents=True, exist_ok=True)
    lock = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise InputError(f"{path}: another run is writing it; wait for that run, or pass another <output>") from None
    except OSError:  # a file system without locks: a stale folder and a busy one look alike, so take it
        pass
    for entry in partial.iterdir():
        _remove(entry)
    return lock


def _replace(partial: Path, path: Path) -> None:
    if not path.exists():
        partial.rename(path)
        return
    old = path.with_name(f".{path.name}.old")
    _remove(old)
    path.rename(old)
    partial.rename(path)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
