"""Which rows of two particle files are the same particles: by what names them, by place only where nothing does."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int64

from cryoprior.errors import InputError
from cryoprior.io.formats.columns import ANGLES, IMAGE_NAME, ORIGINS
from cryoprior.io.images import split_image_name
from cryoprior.io.places import find_file

UID = "cryosparcUid"
ORIGINAL_NAME = "rlnImageOriginalName"
MICROGRAPH = "rlnMicrographName"
PICK = (MICROGRAPH, "rlnCoordinateX", "rlnCoordinateY")
DRAW = "pose and defocus"
PLACE = "place"

log = logging.getLogger("cryoprior")


@dataclass(frozen=True, eq=False, repr=False)
class Particles:
    """What names particles. path: for messages; beside: the file whose image names these are, None if not known."""

    path: Path
    table: pd.DataFrame
    beside: Path | None = None

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True, eq=False)
class Match:
    """places: for every particle that was wanted its row among the others, (n,); by: what named them."""

    places: Int64[np.ndarray, " n"]
    by: str


def matched(wanted: Particles, among: Particles) -> Match:
    """Return where the wanted particles are among others.

    By the first of these that names each particle once in both, and at least one in both: cryoSPARC's uid; the image,
    by its file where all files are found, else by its name; the name that a file records as the original, against the
    other's name or record; micrograph and coordinates; pose and defocus together. Where nothing does, by place, with a
    warning.

    Raises
    ------
    InputError: some particles are named in both, by more than their pose, and others are not; the micrographs of a pair
        differ; another number of particles where nothing names them.
    """
    for by, key_of_wanted, key_of_among in _KEYS:
        places = _places(key_of_wanted(wanted, among), key_of_among(among, wanted))
        if places is None or (places < 0).all():
            continue
        if by == DRAW and (places < 0).any():  # poses change, names do not
            continue
        if (places < 0).any():
            row = int(np.argmax(places < 0))
            raise InputError(
                f"{among.path}: {int((places < 0).sum())} of the {len(wanted)} particles of {wanted.path} are not in "
                f"it, by {by}, first particle {row + 1} ({_name(wanted, row)}); expected all; pass the matching file"
            )
        return _checked(Match(places, by), wanted, among)
    if len(wanted) != len(among):
        raise InputError(
            f"{among.path}: {len(among)} particles; {wanted.path} has {len(wanted)}, and nothing in both says which "
            "are the same; pass the matching file, or one with the same image names"
        )
    match = _checked(Match(np.arange(len(wanted)), PLACE), wanted, among)
    log.warning(
        "%s: nothing says which particles of %s its own are; rows are taken to be in the same order",
        among.path,
        wanted.path,
    )
    return match


def with_original_names(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with its image names recorded as the original ones, unless it has these, or uids, already.

    For a file whose images lie elsewhere than those that they were made of.
    """
    return table if {ORIGINAL_NAME, UID} & set(table.columns) else table.assign(**{ORIGINAL_NAME: table[IMAGE_NAME]})


Keys = list[Hashable] | None
Key = Callable[[Particles, Particles], Keys]


def _column(label: str) -> Key:
    def keys(particles: Particles, _: Particles) -> Keys:
        if label not in particles.table.columns:
            return None
        return [str(value) for value in particles.table[label].tolist()]

    return keys


def _names(label: str) -> Key:
    def keys(particles: Particles, _: Particles) -> Keys:
        if label not in particles.table.columns:
            return None
        names = particles.table[label].tolist()
        parsed = (split_image_name(name, particles.path, row) for row, name in enumerate(names))
        return [(place, os.path.normpath(stack)) for place, stack in parsed]

    return keys


def _files(particles: Particles, other: Particles) -> Keys:
    """Return place and file of every image; None where a file of either is not found, so that names must do."""
    files = _found(particles)
    if files is None or _found(other) is None:
        return None
    names = particles.table[IMAGE_NAME].tolist()
    parsed = (split_image_name(name, particles.path, row) for row, name in enumerate(names))
    return [(place, files[stack]) for place, stack in parsed]


def _found(particles: Particles) -> dict[str, Path] | None:
    if particles.beside is None or IMAGE_NAME not in particles.table.columns:
        return None
    names = particles.table[IMAGE_NAME].tolist()
    stacks = dict.fromkeys(split_image_name(name, particles.path, row)[1] for row, name in enumerate(names))
    try:
        return {stack: find_file(stack, particles.beside, None).resolve() for stack in stacks}
    except InputError:
        return None


def _unfound_names(particles: Particles, other: Particles) -> Keys:
    """Return image names where the files do not say more: two folders may each have a particles.mrcs."""
    both = _found(particles) is not None and _found(other) is not None
    return None if both else _names(IMAGE_NAME)(particles, other)


def _pick(particles: Particles, other: Particles) -> Keys:
    if not _shared(particles, other).issuperset(PICK):
        return None
    names, *coordinates = (particles.table[column] for column in PICK)
    return list(zip(names.astype(str).tolist(), *map(_rounded, coordinates), strict=True))


def _draw(particles: Particles, other: Particles) -> Keys:
    """Return pose and defocus of every particle: two stacks of one simulation share them, and nothing else."""
    shared = _shared(particles, other)
    if not shared.issuperset(ANGLES):
        return None
    columns = [column for column in (*ANGLES, *ORIGINS, "rlnDefocusU", "rlnDefocusV") if column in shared]
    return list(zip(*(_rounded(particles.table[column]) for column in columns), strict=True))


def _shared(particles: Particles, other: Particles) -> set[str]:
    return set(particles.table.columns) & set(other.table.columns)


def _rounded(column: pd.Series[Any]) -> list[float]:
    return [float(value) for value in pd.to_numeric(column, errors="coerce").round(6).tolist()]


_KEYS: tuple[tuple[str, Key, Key], ...] = (
    ("cryoSPARC's uid", _column(UID), _column(UID)),
    ("image file", _files, _files),
    ("image name", _unfound_names, _unfound_names),
    ("original image name", _names(ORIGINAL_NAME), _names(IMAGE_NAME)),
    ("original image name", _names(IMAGE_NAME), _names(ORIGINAL_NAME)),
    ("original image name", _names(ORIGINAL_NAME), _names(ORIGINAL_NAME)),
    ("micrograph and coordinates", _pick, _pick),
    (DRAW, _draw, _draw),
)


def _places(wanted: Keys, among: Keys) -> np.ndarray | None:
    """Return the place among others of every wanted key, -1 where it is not there; None where keys name nothing."""
    if wanted is None or among is None:
        return None
    place = {key: i for i, key in enumerate(among)}
    if len(place) < len(among) or len(set(wanted)) < len(wanted):
        return None
    return np.array([place.get(key, -1) for key in wanted], np.int64)


def _checked(match: Match, wanted: Particles, among: Particles) -> Match:
    """Return the match; InputError where micrographs that both files know say that a pair is not one particle."""
    if MICROGRAPH not in wanted.table.columns or MICROGRAPH not in among.table.columns:
        return match
    ours = [PurePath(str(name)).name for name in wanted.table[MICROGRAPH].tolist()]
    all_theirs = [PurePath(str(name)).name for name in among.table[MICROGRAPH].tolist()]
    theirs = [all_theirs[place] for place in match.places]
    if set(ours).isdisjoint(all_theirs):  # named by another program: they say nothing
        return match
    for row, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        if mine != other:
            raise InputError(
                f"{among.path}: particle {match.places[row] + 1} is from micrograph {other}, particle {row + 1} of "
                f"{wanted.path}, the same by {match.by}, from {mine}; these are other particles; pass the matching file"
            )
    return match


def _name(particles: Particles, row: int) -> str:
    for label in (ORIGINAL_NAME, IMAGE_NAME):
        if label in particles.table.columns:
            return str(particles.table[label].iloc[row])
    return "no name"
