"""What is checked before anything is written to an output."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryoprior.errors import DEVICE_FAILURES, InputError
from cryoprior.output.manifest import Manifest, differences, inputs_inside


def check_same(path: Path, known: Manifest | None, wanted: Manifest, *, reopen: bool) -> None:
    """Raise InputError for a folder that holds anything but the wanted run, begun, or finished and to be reopened."""
    if known is None or known.command != wanted.command:
        holder = "something else" if known is None or not known.command else f"a result of {known.command}"
        raise InputError(f"{path}: the output is in use by {holder}; pass another <output>")
    changed = differences(known.identity, wanted.identity)
    if changed:
        run = f"a run with other {', '.join(changed)}"
        raise InputError(f"{path}: the output is in use by {run}; pass another <output>, or <overwrite>")
    if known.finished and not reopen:
        raise InputError(
            f"{path}: the output is in use by this run, which is finished; pass another <output>, or <overwrite>"
        )


def resolved_output(path: Path | str) -> Path:
    """Return the output with links followed; refuse what can never be replaced by a new folder."""
    try:
        path = Path(path).resolve()
    except RuntimeError:  # what Python raises for links that lead to one another
        raise InputError(f"{path}: links that lead to one another; expected a folder; pass another <output>") from None
    here = Path.cwd()
    if path == here or path in here.parents:
        raise InputError(f"{path}: the folder that this run works in; expected one of its own; pass another <output>")
    if path.exists() and not path.is_dir():
        found = "a file" if path.is_file() else "neither file nor folder"
        raise InputError(f"{path}: {found}; expected a folder; pass another <output>")
    if os.path.ismount(path):
        raise InputError(f"{path}: a mount point; expected a folder in it; pass another <output>")
    return path


@contextmanager
def parents_made(path: Path) -> Iterator[None]:
    """Make the folders above the output; those that were made and stay empty go again."""
    missing = [parent for parent in path.parents if not parent.exists()]
    try:
        _make_parents(path)
        yield
    finally:
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()


def _make_parents(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in DEVICE_FAILURES:
            raise
        file = next((parent for parent in path.parents if parent.is_file()), None)
        reason = f"{file} is a file" if file else error.strerror
        raise InputError(
            f"{path}: its folder cannot be made ({reason}); expected one with room and the right to write; "
            "pass another <output>"
        ) from None


def check_inputs(path: Path, inputs: Iterable[Path | str | None]) -> None:
    """Raise InputError for an output that holds, or is, anything that the run reads."""
    read = inputs_inside(path, inputs)
    if read is not None:
        raise InputError(f"{path}: the output holds {read}, which this run reads; pass another <output>")


def check_ours(folder: Path) -> None:
    """Raise InputError for a folder that holds anything that this program did not make."""
    manifest = Manifest.read(folder)
    if manifest is None:
        raise InputError(
            f"{folder}: in use by something that this program did not mark as its own; "
            "expected an output of it; delete the folder yourself, or pass another <output>"
        )
    foreign = manifest.foreign(folder)
    if foreign is not None:
        raise InputError(
            f"{folder}: holds {foreign}, which this program did not make, so it is not replaced; "
            "move that away, or pass another <output>"
        )
