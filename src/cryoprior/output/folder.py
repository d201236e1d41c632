"""Output folders: whole or absent, resumed by identity, or refused; one code for all commands.

A folder of ours has a mark in it, ``.cryoprior.json``: which command made it, from what, and what it made there.
Nothing else is ever deleted, and no input of the run. A folder is made under a hidden name beside the output. An old
result is removed only after the new one, whole and on the disk, has taken its name.
"""

from __future__ import annotations

import dataclasses
import logging
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from cryoprior.errors import InputError
from cryoprior.interruption import Interrupted, deferred
from cryoprior.output.checks import check_inputs, check_ours, check_same, parents_made, resolved_output
from cryoprior.output.files import is_partial, naming, sync, sync_tree
from cryoprior.output.lock import OutputLock, locked
from cryoprior.output.manifest import EVERYTHING, MARK, Manifest, differences, entries, plain

log = logging.getLogger("cryoprior")

Inputs = Iterable[Path | str | None]
CLEARINGS = 10
"""How often a folder is removed before what is left of it is left to the next run."""


@contextmanager
def claim_output(
    path: Path | str, command: str = "", *, overwrite: bool = False, inputs: Inputs = ()
) -> Iterator[Path]:
    """Yield an empty folder beside the output that takes its name on success and vanishes on failure.

    Parameters
    ----------
    path: the output. Missing parents are made.
    command: what makes it, for the mark.
    overwrite: replace an earlier result of this program.
    inputs: all files and folders that the run reads; None is skipped.

    Raises
    ------
    InputError: the output is in use and ``overwrite`` is not set, holds an input or something that this program did not
        make, is the folder that the process works in, or is written by another run.
    """
    path = resolved_output(path)
    with parents_made(path), locked(path):
        check_inputs(path, inputs)
        _recover(path)
        if _in_use(path):
            if not overwrite:
                raise InputError(f"{path}: the output is in use; pass another <output>, or <overwrite>")
            check_ours(path)
        staged, manifest = _hidden(path, "partial"), Manifest(command, {}, finished=False)
        is_whole = False
        try:
            staged.mkdir()
            manifest.write(staged)
            with naming(path):
                yield staged
            with deferred():
                _finish(staged, manifest)
                _replace(staged, path)
                is_whole = True
        except BaseException as error:
            with deferred():
                _cleared(staged)
            _tell(error, path, "finished" if is_whole else "nothing")
            raise


class Work:
    """A run in its folder: ``folder`` is where it works, ``is_new`` whether nothing was done there before."""

    def __init__(self, path: Path, folder: Path, manifest: Manifest, *, is_new: bool) -> None:
        self.path, self.folder, self.is_new = path, folder, is_new
        self.is_whole = False
        self._manifest = manifest

    def complete(self) -> Path:
        """Return the output, whole, under its name; call it last. Without it the next run goes on here."""
        with deferred():
            _finish(self.folder, self._manifest)
            if self.folder != self.path:
                _replace(self.folder, self.path)
                self.folder = self.path
            self.is_whole = True
        return self.path

    @property
    def is_empty(self) -> bool:
        """Return whether the folder holds nothing but its mark."""
        return all(entry == MARK or is_partial(entry) for entry in entries(self.folder))


@contextmanager
def resume_output(
    path: Path | str,
    command: str,
    identity: Mapping[str, Any],
    *,
    makes: tuple[str, ...] = EVERYTHING,
    overwrite: bool = False,
    inputs: Inputs = (),
    reopen: bool = False,
    shared: bool = False,
) -> Iterator[Work]:
    """Yield the work of a run that fills its folder step by step, and that goes on where it was interrupted.

    With ``overwrite`` the new result grows in a hidden folder beside the old one, and replaces it when it is complete.

    Parameters
    ----------
    path, command, inputs: as :func:`claim_output` takes them.
    identity: everything that decides the result; a run goes on only where the folder's is equal.
    makes: patterns of the paths, relative to the folder, that the run makes; a folder's name stands for all in it.
    overwrite: replace an earlier result, or an unfinished run of another identity, of this program.
    reopen: a finished result of the same identity may be opened again.
    shared: several processes of the same identity may work at once.

    Raises
    ------
    InputError: the output is in use by something else, by a run of another identity, or by this run, which is finished;
        it holds an input; it is the folder that the process works in; another run is writing it.
    """
    path, wanted = resolved_output(path), Manifest(command, plain(identity), finished=False, makes=makes)
    with parents_made(path), locked(path, shared=shared) as lock:
        check_inputs(path, inputs)
        folder, is_new = _opened(path, wanted, lock, overwrite=overwrite, reopen=reopen, shared=shared)
        work = Work(path, folder, wanted, is_new=is_new)
        try:
            with naming(path):
                yield work
        except Interrupted as stop:
            _tell(stop, path, "finished" if work.is_whole else "nothing" if work.is_empty else "begun")
            raise
        finally:
            with deferred():
                if is_new and not shared and work.is_empty:
                    _cleared(work.folder)


def holds_run(path: Path | str, command: str, identity: Mapping[str, Any]) -> bool:
    """Return whether a folder holds this run, begun or finished, which a further run resumes without overwriting it."""
    known = Manifest.read(Path(path))
    return known is not None and _same(known, Manifest(command, plain(identity), finished=False))


def _opened(
    path: Path, wanted: Manifest, lock: OutputLock, *, overwrite: bool, reopen: bool, shared: bool
) -> tuple[Path, bool]:
    """Return the folder to work in, marked with what is wanted, and whether it is new."""
    if not lock.alone:
        check_same(path, Manifest.read(path), wanted, reopen=reopen)
        return path, False
    _recover(path)
    folder, is_new = _choose(path, wanted, overwrite=overwrite, reopen=reopen)
    try:
        folder.mkdir(exist_ok=True)
        _sweep(folder)
        wanted.write(folder)
    except BaseException:
        if is_new and not _in_use(folder):
            _cleared(folder)
        raise
    if shared:
        lock.share()
    return folder, is_new


def _choose(path: Path, wanted: Manifest, *, overwrite: bool, reopen: bool) -> tuple[Path, bool]:
    after = path.with_name(f".{path.name}.next")
    begun = Manifest.read(after)
    if begun is not None and _same(begun, wanted):
        return after, False
    if not _in_use(path):
        return path, True
    if not overwrite:
        check_same(path, Manifest.read(path), wanted, reopen=reopen)
        return path, False
    check_ours(path)
    if after.exists():
        check_ours(after)
        _removed(after)
    return after, True


def _same(known: Manifest, wanted: Manifest) -> bool:
    return known.command == wanted.command and not differences(known.identity, wanted.identity)


def _in_use(path: Path) -> bool:
    """Return whether the folder holds anything but the mark of a run that had not begun."""
    return path.is_dir() and any(entry.name != MARK and not is_partial(entry.name) for entry in path.iterdir())


def _hidden(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{kind}")


def _finish(folder: Path, manifest: Manifest) -> None:
    """Mark the folder as whole, with all in it that the run made, and write it to the disk."""
    _sweep(folder)
    dataclasses.replace(manifest, finished=True, entries=manifest.ours(folder)).write(folder)
    sync_tree(folder)


def _replace(new: Path, path: Path) -> None:
    """Give the new folder the name of the output, and remove the old one after that."""
    old = _hidden(path, "old") if path.is_dir() and any(path.iterdir()) else None
    if old is not None:
        path.rename(old)
    try:
        new.rename(path)
    except OSError:
        if old is not None:
            old.rename(path)
        raise
    sync(path.parent)
    if old is not None:
        _removed(old)


def _removed(folder: Path) -> None:
    manifest = Manifest.read(folder)
    if manifest is not None:
        manifest.remove(folder)
    if folder.exists():
        log.warning("%s: the rest of the old result, which this program did not make, is kept there", folder)


def _recover(path: Path) -> None:
    """Undo what a killed run left beside the output: the old result gets its name back, unfinished folders go."""
    pattern = re.compile(re.escape(f".{path.name}.") + r"(?:[0-9a-f]{8}\.(?P<kind>partial|old)|(?P<next>next))")
    for entry in sorted(path.parent.iterdir()):
        match = pattern.fullmatch(entry.name)
        if match is None or entry.is_symlink():
            continue
        manifest = Manifest.read(entry)
        if manifest is None:  # killed before it was marked, or after its mark was removed
            if entry.is_dir() and all(is_partial(name) for name in entries(entry)):
                _cleared(entry)
            continue
        whole = manifest.finished and match["kind"] != "partial"
        if whole and not path.exists():
            entry.rename(path)
        elif match["kind"]:
            manifest.remove(entry)


def _cleared(folder: Path) -> None:
    """Remove a folder that holds nothing but a run's own; a library's thread may be writing into it for a moment."""
    for _ in range(CLEARINGS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05)


def _tell(error: BaseException, output: Path, left: Literal["nothing", "begun", "finished"]) -> None:
    """Let an interruption know what it leaves; of outputs within one another the outermost has the last word."""
    if isinstance(error, Interrupted):
        error.output, error.left = output, left


def _sweep(folder: Path) -> None:
    """Remove files in the making that a killed process left."""
    for entry in list(entries(folder)):
        if is_partial(entry.rpartition("/")[2]):
            with suppress(OSError):
                (folder / entry).unlink()
