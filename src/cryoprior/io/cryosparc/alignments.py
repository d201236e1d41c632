"""Which of cryoSPARC's alignments are a particle's pose: one refinement's, its best class's, or in the plane alone."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cryoprior.errors import InputError
from cryoprior.io.cryosparc.extra import shortest_decimals
from cryoprior.io.euler import euler_of_vector
from cryoprior.io.formats.columns import ANGLES, ORIGINS

REFINED, MULTI, IN_PLANE = "alignments3D", "alignments3D_multi", "alignments2D"
SUBSET, CLASS = "rlnRandomSubset", "rlnClassNumber"
_CLASS_NAME = re.compile(r"(alignments_class_(\d+))/pose")

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class _Alignment:
    """One pose per particle: pose is a rotation vector (n, 3) or an angle (n,); shift (n, 2) in pixels of psize."""

    pose: np.ndarray
    shift: np.ndarray | None
    psize: np.ndarray | None
    split: np.ndarray | None
    number: np.ndarray | None
    """The class, from 0."""


def alignment_columns(path: Path, rows: np.ndarray, pixel_size: np.ndarray) -> dict[str, Any]:
    """Return RELION's columns of pose, origin, half set and class, each (n,), as far as the file has alignments.

    ``alignments3D`` is taken where it is there. Else the class with the highest posterior gives each particle its pose:
    of ``alignments3D_multi``, or of ``alignments_class_0``, ``_1``, ... Else ``alignments2D`` gives rlnAnglePsi and
    the origin, and no pose in three dimensions.

    Parameters
    ----------
    pixel_size: of the images, (n,), in which shifts count where the file does not say in which.

    Raises
    ------
    InputError: alignments to several classes without their posterior, or of another shape.
    """
    names = set(rows.dtype.names or ())
    classes = sorted((int(m[2]), m[1]) for m in map(_CLASS_NAME.fullmatch, names) if m)
    if f"{REFINED}/pose" in names or f"{REFINED}/shift" in names:
        found = _single(rows, REFINED)
    elif f"{MULTI}/pose" in names:
        found = _best_of_multi(path, rows)
    elif classes:
        found = _best_of_classes(path, rows, classes)
    elif f"{IN_PLANE}/pose" in names:
        log.warning("%s: aligned in two dimensions; the particles have no pose in three", path)
        found = _single(rows, IN_PLANE)
    else:
        return {}
    return _relion_columns(path, found, pixel_size)


def _single(rows: np.ndarray, prefix: str) -> _Alignment:
    get: Mapping[str, Any] = {name: rows[name] for name in rows.dtype.names or ()}
    values = [get.get(f"{prefix}/{name}") for name in ("pose", "shift", "psize_A", "split", "class")]
    return _Alignment(*values)  # type: ignore[arg-type]


def _best_of_multi(path: Path, rows: np.ndarray) -> _Alignment:
    every = _single(rows, MULTI)
    posterior = rows[f"{MULTI}/class_posterior"] if f"{MULTI}/class_posterior" in (rows.dtype.names or ()) else None
    n, classes = len(rows), every.pose.shape[1] if every.pose.ndim == 3 else 1
    if every.pose.shape != (n, classes, 3) or every.pose.ndim != 3:
        raise InputError(
            f"{path}: {MULTI}/pose of shape {every.pose.shape[1:]}; expected (classes, 3); export it again"
        )
    best = _best(path, MULTI, posterior, n, classes)
    log.info("%s: each particle has the pose of the best of its %d classes in %s", path, classes, MULTI)
    pick = (np.arange(n), best)
    psize = every.psize if every.psize is None or every.psize.ndim == 1 else every.psize[pick]
    split = every.split if every.split is None or every.split.ndim == 1 else every.split[pick]
    number = best if every.number is None or every.number.ndim == 1 else every.number[pick]
    return _Alignment(every.pose[pick], None if every.shift is None else every.shift[pick], psize, split, number)


def _best_of_classes(path: Path, rows: np.ndarray, classes: list[tuple[int, str]]) -> _Alignment:
    each = [_single(rows, prefix) for _, prefix in classes]
    names = [f"{prefix}/class_posterior" for _, prefix in classes]
    there = all(name in (rows.dtype.names or ()) for name in names)
    posterior = np.stack([rows[name] for name in names], 1) if there else None
    best = _best(path, "alignments_class_0, _1, ...", posterior, len(rows), len(classes))
    if len(classes) > 1:
        log.info("%s: each particle has the pose of the best of its %d classes", path, len(classes))

    def of_best(name: str) -> np.ndarray | None:
        values = [getattr(alignment, name) for alignment in each]
        return None if any(v is None for v in values) else np.stack(values, 1)[np.arange(len(rows)), best]

    numbers = np.array([number for number, _ in classes])[best]
    pose = of_best("pose")
    assert pose is not None  # by it the classes were found
    return _Alignment(pose, of_best("shift"), of_best("psize"), of_best("split"), numbers)


def _best(path: Path, where: str, posterior: np.ndarray | None, n: int, classes: int) -> np.ndarray:
    """Return the class with the highest posterior for every particle, from 0."""
    if classes == 1:
        return np.zeros(n, np.int64)
    if posterior is None or posterior.shape != (n, classes):
        raise InputError(
            f"{path}: poses in {classes} classes ({where}) without class_posterior, which says which is a particle's "
            "own; expected that column; export the particles of one class"
        )
    return np.asarray(np.argmax(posterior, axis=1))


def _relion_columns(path: Path, found: _Alignment, pixel_size: np.ndarray) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if found.pose is not None:
        in_plane = found.pose.ndim == 1
        angles = np.degrees(found.pose.astype(np.float64))[:, None] if in_plane else euler_of_vector(found.pose)
        columns |= {name: angles[:, place] for place, name in enumerate(ANGLES[2:] if in_plane else ANGLES)}
    if found.shift is not None:
        size = pixel_size if found.psize is None else shortest_decimals(found.psize)
        if found.psize is None and found.shift.any():
            log.warning("%s: shifts without psize_A; taken as pixels of the images (blob/psize_A)", path)
        columns |= {name: found.shift[:, place].astype(np.float64) * size for place, name in enumerate(ORIGINS)}
    if found.split is not None:
        columns[SUBSET] = found.split.astype(np.int64) + 1
    if found.number is not None:
        columns[CLASS] = found.number.astype(np.int64) + 1
    return columns
