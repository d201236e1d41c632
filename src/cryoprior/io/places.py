"""Where the files that a particle file names lie: a bounded search, and no file under two names by mistake."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from cryoprior.errors import InputError

LEVELS = 4
"""Folders above that of the particle file in which files are looked for, unless a project's folder comes first."""
PROJECT_FILES = ("default_pipeline.star", "project.json", "job_manifest.json")
"""What lies in the folder that RELION, or cryoSPARC, names all files from."""


def find_file(name: str, beside: Path, datadir: Path | None) -> Path:
    """Return the file that ``name`` means in the particle file ``beside``.

    Looked for, in this order: as it is where absolute; under ``datadir``, by the longest tail of its path that is
    there; in the folder of the particle file and in those above it, as RELION and cryoSPARC name files from that of the
    project: up to that folder where it can be told, else four levels, and never in the home folder or the root.

    Raises
    ------
    InputError: it is in none of them.
    """
    return _find(name, beside, datadir, _folders(beside))[0]


def find_files(names: Sequence[str], beside: Path, datadir: Path | None) -> list[Path]:
    """Return the files that all these names mean; see :func:`find_file`.

    Raises
    ------
    InputError: a file in none of the places, or two names of which ``datadir`` makes one file.
    """
    folders = _folders(beside)
    found, names_of = [], dict[Path, tuple[str, bool]]()
    for name in names:
        path, shortened = _find(name, beside, datadir, folders)
        other, other_shortened = names_of.setdefault(path, (name, shortened))
        if os.path.normpath(other) != os.path.normpath(name) and (shortened or other_shortened):
            raise InputError(
                f"{beside}: the files {other} and {name} both become {path} in <datadir> {datadir}; expected two "
                "files; pass the folder that holds both with their own folders"
            )
        found.append(path)
    return found


def is_file(path: Path) -> bool:
    """Return whether there is such a file; False where the name is none, too long or not allowed to be seen."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _find(name: str, beside: Path, datadir: Path | None, folders: Sequence[Path]) -> tuple[Path, bool]:
    """Return the file, and whether only the end of its name led to it."""
    if Path(name).is_absolute() and is_file(Path(name)):
        return Path(name), False
    if datadir:
        parts = PurePosixPath(name).parts
        parts = parts[1:] if name.startswith("/") else parts
        for dropped in range(len(parts)):
            if is_file(place := datadir.joinpath(*parts[dropped:])):
                return place, dropped > 0 or name.startswith("/")
    for folder in folders:
        if is_file(folder / name):
            return folder / name, False
    above = f"{datadir}, " if datadir else ""
    raise InputError(
        f"{beside}: no image file {name} in {above}{folders[0]}"
        + (f" or the {len(folders) - 1} folders above it" if len(folders) > 1 else "")
        + "; pass <datadir>"
    )


def _folders(beside: Path) -> list[Path]:
    """Return the folder of a particle file and those above it that may be the project's."""
    folder = beside.resolve().parent
    folders = [folder]
    for above in folder.parents[:LEVELS]:
        if any(is_file(folders[-1] / name) for name in PROJECT_FILES) or above in (_home(), Path(above.anchor)):
            break
        folders.append(above)
    return folders


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except RuntimeError:  # no home is known
        return None
