"""A job of cryoSPARC writes its particles in two files, what it made and what it passed through: joined by uid."""

from __future__ import annotations

import logging
import re
import tokenize
from pathlib import Path
from typing import Any

import numpy as np

from cryoprior.errors import InputError

UID = "uid"
IMAGES = ("blob/path", "blob/idx")
PASSTHROUGH = "passthrough"
CSDAT = b"\x94CSDAT"
"""How cryoSPARC's compressed format begins."""
UNREADABLE: tuple[type[Exception], ...] = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, SyntaxError, ArithmeticError),
    *(AttributeError, RecursionError, MemoryError, tokenize.TokenError),
)
"""What reading the head of a damaged numpy file may raise: it is parsed as Python."""
_JOB = re.compile(r"(?:^|_)(J\d+)(?=_|\.)")
_POSES = re.compile(r"alignments(3D|3D_multi|_class_\d+)/pose")

log = logging.getLogger("cryoprior")


def load_rows(path: Path) -> np.ndarray:
    """Return the structured array of a .cs file, one row per particle; its size is checked before memory is taken.

    Raises
    ------
    InputError: no such file, another format, fewer bytes than it promises, or no particle.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a cryoSPARC particle file; check the name")
    try:
        with path.open("rb") as file:
            if file.read(len(CSDAT)) == CSDAT:
                raise InputError(
                    f"{path}: cryoSPARC's compressed format; expected a numpy array; save it with format NUMPY_FORMAT"
                )
            file.seek(0)
            shape, dtype = _array_header(file)
            if dtype.names is None or len(shape) != 1 or shape[0] < 0:
                raise InputError(
                    f"{path}: not a cryoSPARC file: no named columns; expected a structured numpy array, one row per "
                    "particle"
                )
            if dtype.hasobject:
                raise InputError(f"{path}: columns of Python objects; expected numbers and texts; export it again")
            expected, size = file.tell() + shape[0] * dtype.itemsize, path.stat().st_size
            if size < expected:
                found = f"{path}: truncated: {size} bytes found"
                raise InputError(f"{found}, {expected} expected for {shape[0]} particles; copy it again")
            rows = np.fromfile(file, dtype, shape[0]) if shape[0] else np.empty(0, dtype)
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"{path}: not a cryoSPARC file: {error}; expected a structured numpy array") from error
    if len(rows) == 0:
        raise InputError(f"{path}: no particle; expected one row or more; was the selection empty?")
    return rows


def joined_rows(path: Path, passthrough: Path | None) -> np.ndarray:
    """Return the rows of a .cs file, with the columns that its job's other file holds of the same particles.

    The rows and their order are those of ``path``. The other file is ``passthrough`` where it is given. Else it is
    looked for beside ``path``: where that names no images, the job's passthrough file; where it is itself a
    passthrough without poses, the job's particles. Columns that both hold are those of the file that is no passthrough.

    Raises
    ------
    InputError: images are named in neither; several files may be the other one; uids are absent, double or unmatched.
    """
    rows = load_rows(path)
    if passthrough is not None:
        return _join(path, rows, passthrough, load_rows(passthrough))
    if not set(IMAGES) <= set(_names(rows)):
        beside = _beside(path, rows, lambda name, other: PASSTHROUGH in name and set(IMAGES) <= set(_names(other)))
        if beside is None:
            missing = " and ".join(name for name in IMAGES if name not in _names(rows))
            raise InputError(
                f"{path}: no column {missing} to find the images by, and no passthrough file of the same job with "
                "these particles lies beside it; pass it with <passthrough>, or export the particles with their images"
            )
        return _join(path, rows, *beside)
    if PASSTHROUGH in path.name.lower() and not _has_poses(rows):
        beside = _beside(path, rows, lambda name, other: PASSTHROUGH not in name and _has_poses(other))
        if beside is None:
            log.warning("%s: a passthrough file without poses; what its job made lies elsewhere, and is missing", path)
            return rows
        return _join(path, rows, *beside)
    return rows


def _array_header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"numpy format {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _beside(path: Path, rows: np.ndarray, suits: Any) -> tuple[Path, np.ndarray] | None:
    """Return the one other file of the same job that suits and holds all particles of these rows, and its rows.

    Of several, the one with no further particles is taken.
    """
    job = _job(path)
    found: list[tuple[Path, np.ndarray]] = []
    for other in sorted(path.parent.glob("*.cs")):
        if job is None or other == path or _job(other) != job:
            continue
        try:
            candidate = load_rows(other)
        except InputError:
            continue  # what lies beside the file that was asked for may be anything
        if UID in _names(candidate) and suits(other.name.lower(), candidate) and _covers(candidate, rows):
            found.append((other, candidate))
    equal = [item for item in found if len(item[1]) == len(rows)]
    found = equal if len(found) > 1 and equal else found
    if len(found) > 1:
        names = ", ".join(item[0].name for item in found)
        raise InputError(
            f"{path}: it needs the job's other file, and {len(found)} may be that: {names}; expected one; pass it with "
            "<passthrough>"
        )
    return found[0] if found else None


def _covers(candidate: np.ndarray, rows: np.ndarray) -> bool:
    return UID in _names(rows) and bool(np.isin(rows[UID], candidate[UID]).all())


def _join(path: Path, rows: np.ndarray, other: Path, more: np.ndarray) -> np.ndarray:
    for file, array in ((path, rows), (other, more)):
        if UID not in _names(array):
            raise InputError(
                f"{file}: no column {UID}, by which {path.name} and {other.name} are joined; export it again"
            )
        if len(np.unique(array[UID])) < len(array):
            raise InputError(f"{file}: a uid stands in two rows; expected each once; remove the double particles")
    order = np.argsort(more[UID])
    places = np.minimum(np.searchsorted(more[UID][order], rows[UID]), len(more) - 1)
    matched = order[places]
    absent = more[UID][matched] != rows[UID]
    if absent.any():
        raise InputError(
            f"{path}: {int(absent.sum())} of {len(rows)} particles have no row in {other} (the first is uid "
            f"{rows[UID][np.argmax(absent)]}); expected all; pass the passthrough file of the same job"
        )
    log.info("%s: joined by uid with %s", path, other.name)
    first, second = (more[matched], rows) if PASSTHROUGH in path.name.lower() else (rows, more[matched])
    fields = {name: first[name] for name in _names(first)}
    fields |= {name: second[name] for name in _names(second) if name not in fields}
    return structured(fields)


def structured(fields: dict[str, np.ndarray]) -> np.ndarray:
    """Return a structured array of columns, (n, ...) each, in their order and with their types."""
    n = len(next(iter(fields.values())))
    rows = np.empty(n, [(name, values.dtype, values.shape[1:]) for name, values in fields.items()])
    for name, values in fields.items():
        rows[name] = values
    return rows


def _names(rows: np.ndarray) -> tuple[str, ...]:
    return rows.dtype.names or ()


def _has_poses(rows: np.ndarray) -> bool:
    return any(_POSES.fullmatch(name) for name in _names(rows))


def _job(path: Path) -> str | None:
    match = _JOB.search(path.name)
    return match[1] if match else None
