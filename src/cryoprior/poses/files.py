"""The files of pose errors: poses of any particle file in, errors and found poses out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cryoprior.errors import InputError
from cryoprior.external.relion import RelionPoses
from cryoprior.io import FORMATS, ParticleStack, write_star
from cryoprior.io.formats.columns import ANGLES, IMAGE_NAME, ORIGINS, PIXEL_SIZE, Companions, optics_rows
from cryoprior.io.identity import Particles, matched
from cryoprior.io.images import split_image_name
from cryoprior.io.places import find_file
from cryoprior.metrics.pose import PoseErrors
from cryoprior.poses.figure import pose_histograms

PROBABILITY = "rlnMaxValueProbDistribution"
ERRORS = ("angle_deg", "view_deg", "shift_angstrom", "shift_pixel", "other_hand_deg")


@dataclass(frozen=True, eq=False, repr=False)
class Poses:
    """Poses that a file holds, in its order: euler_deg rot, tilt, psi; origin_angstrom x, y; pixel_size in angstrom.

    ``table`` holds what names the particles.
    """

    path: Path
    table: pd.DataFrame
    euler_deg: np.ndarray
    origin_angstrom: np.ndarray
    pixel_size: np.ndarray
    probability: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        return f"Poses({self.path}, {len(self)} particles)"

    @property
    def identified(self) -> Particles:
        """Return what names the particles."""
        return Particles(self.path, self.table, self.path)

    def rows(self, places: np.ndarray) -> Poses:
        """Return the poses at these places."""
        table, probability = self.table.iloc[places].reset_index(drop=True), self.probability
        parts = (self.euler_deg[places], self.origin_angstrom[places], self.pixel_size[places])
        return Poses(self.path, table, *parts, None if probability is None else probability[places])


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
    return Poses(path, table, table[list(ANGLES)].to_numpy(np.float64), origins, sizes, probability)


def true_poses(truth: Poses, found: Particles) -> tuple[Poses, str]:
    """Return the true poses of the particles whose poses were found, in their order, and what told them.

    Raises
    ------
    InputError: particles that the truth does not have.
    """
    match = matched(found, truth.identified)
    return truth.rows(match.places), match.by


def write_errors(folder: Path, poses: Poses, errors: PoseErrors) -> None:
    """Write the errors of all particles as CSV, and their histograms."""
    table = pd.DataFrame(
        {"image": poses.table[IMAGE_NAME].astype(str).tolist()}
        | {name: getattr(errors, name).numpy() for name in ERRORS}
    )
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
