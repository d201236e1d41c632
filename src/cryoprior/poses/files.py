"""The files of pose errors: poses of any particle file in, errors and found poses out."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cryoprior.errors import InputError
from cryoprior.external.relion import RelionPoses
from cryoprior.io import FORMATS, ParticleStack, write_star
from cryoprior.io.formats.columns import ANGLES, IMAGE_NAME, ORIGINS, PIXEL_SIZE, Companions, optics_rows
from cryoprior.io.images import split_image_name
from cryoprior.io.places import find_file
from cryoprior.metrics.pose import PoseErrors
from cryoprior.poses.figure import pose_histograms

PROBABILITY = "rlnMaxValueProbDistribution"
ERRORS = ("angle_deg", "view_deg", "shift_angstrom", "shift_pixel", "other_hand_deg")

log = logging.getLogger("cryoprior")


@dataclass(frozen=True, eq=False, repr=False)
class Poses:
    """Poses that a file holds, in its order: euler_deg rot, tilt, psi; origin_angstrom x, y; pixel_size in angstrom."""

    path: Path
    names: list[str]
    euler_deg: np.ndarray
    origin_angstrom: np.ndarray
    pixel_size: np.ndarray
    probability: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Poses({self.path}, {len(self)} particles)"

    def rows(self, places: np.ndarray) -> Poses:
        """Return the poses at these places."""
        names, probability = [self.names[i] for i in places], self.probability
        parts = (self.euler_deg[places], self.origin_angstrom[places], self.pixel_size[places])
        return Poses(self.path, names, *parts, None if probability is None else probability[places])


def read_poses(path: Path, pixel_size: float | None = None, limit: int | None = None) -> Poses:
    """Return the poses of any particle file, the first ``limit`` ones; no image needs to be there.

    Raises
    ------
    InputError: no poses, or no pixel size and none passed.
    """
    reader = FORMATS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: unknown extension {path.suffix!r}; expected one of {', '.join(FORMATS)}")
    metadata = reader(path, Companions(pixel_size))
    table = metadata.table.iloc[:limit]
    missing = [name for name in ANGLES if name not in table.columns]
    if missing:
        raise InputError(f"{path}: no {', '.join(missing)}; expected particles with poses; pass the file that has them")
    sizes = metadata.optics[PIXEL_SIZE].to_numpy(np.float64)[optics_rows(path, table, metadata.optics)]
    if pixel_size is not None:
        sizes = np.full(len(table), pixel_size)
    if not (sizes > 0).all():
        raise InputError(f"{path}: no pixel size ({PIXEL_SIZE}); add it, or pass <pixel_size>")
    origins = np.zeros((len(table), 2))
    if set(ORIGINS) <= set(table.columns):
        origins = table[list(ORIGINS)].to_numpy(np.float64)
    probability = table[PROBABILITY].to_numpy(np.float64) if PROBABILITY in table.columns else None
    names = table[IMAGE_NAME].astype(str).tolist()
    return Poses(path, names, table[list(ANGLES)].to_numpy(np.float64), origins, sizes, probability)


def matched(estimated: Poses, truth: Poses) -> Poses:
    """Return the poses in the order of the truth: by image name where both name the same images, else as they are."""
    check_count(estimated.path, len(estimated), truth)
    if estimated.names == truth.names or len(set(truth.names)) < len(truth):
        return estimated
    place = {name: i for i, name in enumerate(estimated.names)}
    if place.keys() != set(truth.names):
        return estimated
    log.info("%s: rows are in another order than those of %s; matched by name", estimated.path, truth.path)
    return estimated.rows(np.array([place[name] for name in truth.names]))


def check_count(path: Path, n: int, truth: Poses) -> None:
    """Raise InputError unless there are as many particles as true poses."""
    if n != len(truth):
        raise InputError(
            f"{truth.path}: {len(truth)} particles; {path} has {n}; the rows must be the same particles in the same "
            "order; pass the matching file, or <limit>"
        )


def write_errors(folder: Path, poses: Poses, errors: PoseErrors) -> None:
    """Write the errors of all particles as CSV, and their histograms."""
    table = pd.DataFrame({"image": poses.names} | {name: getattr(errors, name).numpy() for name in ERRORS})
    if poses.probability is not None:
        table["probability"] = poses.probability
    table.to_csv(folder / "pose_errors.csv", index=False, float_format="%.6g")
    picture = pose_histograms(errors.angle_deg.numpy(), errors.shift_angstrom.numpy())
    (folder / "pose_errors.png").write_bytes(picture)


def write_found_poses(folder: Path, particles: ParticleStack, poses: RelionPoses) -> None:
    """Write the particles with the poses that were found; stacks are named as seen from the folder."""
    table = particles.table.drop(columns=[c for c in particles.table if c.endswith("Prior")])
    stacks: dict[str, str] = {}
    names = []
    for row, name in enumerate(table[IMAGE_NAME]):
        place, stack = split_image_name(name, particles.path, row)
        if stack not in stacks:
            stacks[stack] = os.path.relpath(find_file(stack, particles.path, None).resolve(), folder.resolve())
        names.append(f"{place + 1:06d}@{stacks[stack]}")
    table[IMAGE_NAME] = names
    for column, values in zip((*ANGLES, *ORIGINS), [*poses.euler_deg.T, *poses.origin_angstrom.T], strict=True):
        table[column] = values
    table[PROBABILITY] = poses.probability
    write_star(folder / "poses.star", table, particles.optics)
