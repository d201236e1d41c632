"""The mark of a folder of ours, and the list of what this program made there: that alone it may delete."""

from __future__ import annotations

import errno
import fnmatch
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryoprior.output.files import is_partial, write_whole
from cryoprior.output.stored_json import read_json
from cryoprior.version import __version__

MARK = ".cryoprior.json"
EVERYTHING = ("*",)


@dataclass(frozen=True)
class Manifest:
    """The mark of a folder.

    command: what makes the folder. identity: what makes another run the same as this one.
    finished: whether it is whole. makes: patterns of the paths in it that the run makes, until it is finished.
    entries: the paths of all files and folders in it, once it is finished.
    """

    command: str
    identity: Mapping[str, Any]
    finished: bool
    makes: tuple[str, ...] = EVERYTHING
    entries: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """Return the mark of a folder, None where it has none that can be read."""
        try:
            stored = read_json(folder / MARK, "the mark of an output", "pass another <output>")
            return cls(
                stored["command"],
                stored["identity"],
                stored["finished"],
                tuple(stored["makes"]),
                tuple(stored["entries"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, folder: Path) -> None:
        """Write the mark into the folder."""
        write_whole(folder / MARK, json.dumps({**asdict(self), "version": __version__}) + "\n")

    def foreign(self, folder: Path) -> str | None:
        """Return the first path in the folder that this program did not make, None where all is ours."""
        is_ours = self._judge()
        return next((entry for entry in entries(folder) if not is_ours(entry)), None)

    def ours(self, folder: Path) -> tuple[str, ...]:
        """Return the paths in the folder that this program made, but the mark, sorted."""
        is_ours = self._judge()
        return tuple(sorted(entry for entry in entries(folder) if entry != MARK and is_ours(entry)))

    def remove(self, folder: Path) -> None:
        """Delete what is ours in the folder, the mark last, and the folder itself where nothing else is left.

        Raises
        ------
        OSError: the disk fails; the mark is still there, so that the next run goes on with it.
        """
        is_ours = self._judge()
        for entry in (*sorted((e for e in entries(folder) if is_ours(e) and e != MARK), key=len, reverse=True), MARK):
            path = folder / entry
            if path.is_dir() and not path.is_symlink():
                _remove_empty(path)
            else:
                path.unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()

    def _judge(self) -> Callable[[str], bool]:
        """Return the function that says whether this program made a path, given relative to the folder."""
        known = frozenset(self.entries)

        def is_ours(entry: str) -> bool:
            if entry == MARK or is_partial(entry.rpartition("/")[2]):
                return True
            if self.finished:
                return entry in known
            parts = entry.split("/")
            heads = ("/".join(parts[: depth + 1]) for depth in range(len(parts)))
            return any(fnmatch.fnmatchcase(head, pattern) for head in heads for pattern in self.makes)

        return is_ours


def _remove_empty(folder: Path) -> None:
    """Remove a folder unless something else lies in it."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def entries(folder: Path) -> Iterator[str]:
    """Yield the paths of all files, links and folders below a folder, relative to it; links are not followed."""
    for place, folders, names in os.walk(folder):
        base = Path(place).relative_to(folder)
        yield from ((base / name).as_posix() for name in (*folders, *names))


def plain(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return an identity as JSON gives it back, so that it can be compared with a stored one."""
    from cryoprior.output.record import to_json

    stored: dict[str, Any] = json.loads(to_json(identity))
    return stored


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names in which two identities differ, sorted."""
    return sorted(key for key in {*before, *now} if before.get(key) != now.get(key))


def inputs_inside(folder: Path, inputs: Iterable[Path | str | None]) -> Path | None:
    """Return the first input that lies in the folder, or is it, links followed or not; None where there is none."""
    for given in inputs:
        if given is None:
            continue
        # a link to itself has no end: who reads it says so
        for path in (Path(os.path.abspath(given)), Path(os.path.realpath(given))):  # noqa: PTH100
            if path == folder or folder in path.parents:
                return Path(given)
    return None
