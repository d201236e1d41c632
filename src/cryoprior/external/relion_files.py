"""RELION's particle files: what it can read, written from any format, and the poses that it wrote."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32, Float64

from cryoprior.errors import InputError
from cryoprior.external.relion_optics import relion_tables
from cryoprior.io import ParticleStack, StackWriter, read_particles, read_star, row_batches, write_star
from cryoprior.io.formats.columns import ANGLES, IMAGE_NAME, ORIGINS
from cryoprior.io.images import split_image_name
from cryoprior.io.mrc import read_header
from cryoprior.io.places import find_file

STAR, STACK = "particles.star", "particles.mrcs"
SUBSET = "rlnRandomSubset"
BATCH = 256
Images = Float32[np.ndarray, "b box box"]


@dataclass(frozen=True)
class RelionPoses:
    """Poses that RELION found, in the order of the particles that it was given.

    euler_deg: rot, tilt, psi. origin_angstrom: x, y. probability: that of the best pose, by RELION's own model.
    """

    euler_deg: Float64[np.ndarray, "n 3"]
    origin_angstrom: Float64[np.ndarray, "n 2"]
    probability: Float64[np.ndarray, " n"]


def write_particles(
    particles: ParticleStack,
    folder: Path,
    *,
    poses: bool = True,
    change: Callable[[Images], Images] | None = None,
) -> Path:
    """Return the star file of the particles as RELION reads them, written into a folder with a float32 stack.

    Parameters
    ----------
    particles: from any format; the rows stay in order, image i is row i.
    folder: where RELION will run.
    poses: write the poses that they have, and the half-set; False leaves nothing that tells the pose.
    change: what the images go through on the way, (b, box, box) to the same; for the sign and the grey scale.

    Raises
    ------
    InputError: more than one pixel size.
    """
    pixel_size = _one_pixel_size(particles)
    folder.mkdir(parents=True, exist_ok=True)
    with StackWriter(folder / STACK, particles.n, particles.box, pixel_size) as writer:
        for places in row_batches(particles.n, BATCH):
            images = particles.read(places)
            writer.write(np.asarray(change(images) if change else images, np.float32))
    write_star(folder / STAR, *_tables(particles, STACK, pixel_size, poses=poses))
    return folder / STAR


def readable_star(path: Path, folder: Path) -> Path:
    """Return a star file that RELION reads from its own folder: the file itself, or a copy written into ``folder``.

    A star file whose stacks lie where it says, seen from its folder, in a type that RELION reads, stays as it is.
    """
    particles = read_particles(path)
    plain = path.suffix == ".star" and "optics" in read_star(path)
    stacks = {split_image_name(name, path, row)[1] for row, name in enumerate(particles.table[IMAGE_NAME])}
    if plain and all(_is_readable(path, stack) for stack in stacks):
        return path
    return write_particles(particles, folder)


def read_poses(star: Path, n: int) -> RelionPoses:
    """Return the poses of a data file of particles that :func:`write_particles` wrote, image 1 to n in order.

    Raises
    ------
    InputError: other particles than these, or a column is missing.
    """
    table = read_star(star).get("particles", pd.DataFrame())
    missing = [name for name in (IMAGE_NAME, *ANGLES, *ORIGINS) if name not in table.columns]
    if missing:
        raise InputError(f"{star}: no column {', '.join(missing)}; expected RELION's data file; was it cut short?")
    place = np.array([split_image_name(name, star, row)[0] for row, name in enumerate(table[IMAGE_NAME])])
    if not np.array_equal(np.sort(place), np.arange(n)):
        raise InputError(f"{star}: {len(place)} particles; expected each of {n} once; remove the folder, run again")
    table = table.iloc[np.argsort(place)]
    best = table.get("rlnMaxValueProbDistribution")
    probability = np.full(n, math.nan) if best is None else best.to_numpy(np.float64)
    return RelionPoses(table[list(ANGLES)].to_numpy(np.float64), table[list(ORIGINS)].to_numpy(np.float64), probability)


def _is_readable(path: Path, stack: str) -> bool:
    seen = path.resolve().parent / stack
    return seen.is_file() and find_file(stack, path, None) == seen and read_header(seen).dtype.itemsize != 2


def _one_pixel_size(particles: ParticleStack) -> float:
    sizes = np.unique(particles.pixel_size)
    if np.ptp(sizes) > 1e-3 * sizes[0]:
        listed = ", ".join(f"{size:.4f}" for size in sizes)
        raise InputError(f"{particles.path}: pixel sizes {listed} A; RELION is given one; split the file")
    return float(particles.pixel_size[0])


def _tables(
    particles: ParticleStack, stack: str, pixel_size: float, *, poses: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    table, optics = relion_tables(particles, stack, pixel_size)
    for name in (*ANGLES, *ORIGINS, SUBSET) if poses else ():
        if name in particles.table.columns:
            table[name] = particles.table[name].to_numpy()
    return table, optics
