"""``cryoprior poses``: how far the poses that RELION, or any program, finds of particles are from the truth."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cryoprior.errors import InputError
from cryoprior.external.relion import RelionPoses
from cryoprior.image.symmetry import point_group
from cryoprior.io import FORMATS, ParticleStack, read_particles, write_star
from cryoprior.io.formats.columns import ANGLES, IMAGE_NAME, ORIGINS, PIXEL_SIZE, Companions, optics_rows
from cryoprior.io.images import find_file, split_image_name
from cryoprior.metrics.pose import PoseErrors, pose_errors
from cryoprior.options import argument, check_options, option
from cryoprior.output.folder import claim_output
from cryoprior.output.record import write_provenance, write_summary
from cryoprior.poses.figure import pose_histograms
from cryoprior.poses.search import PoseSearch, default_threads, search_poses

DIAMETER_OF_BOX = 0.84
POSE = ("euler_deg", "origin_angstrom")
PROBABILITY = "rlnMaxValueProbDistribution"

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class Options:
    truth: Path = option("The same particles, row by row, with their true poses.")
    output: Path = option("Folder to write.", flags=("-o", "--output"))
    particles: Path | None = argument("Particles whose poses RELION is to find; their own poses are not used.", None)
    reference_map: Path | None = option("The map to search with, of the particles' box and pixel size.", None)
    estimated: Path | None = option("In place of PARTICLES: poses that any program found; no RELION is run.", None)
    mode: str = option(
        "search: all poses, then those near the best, against the map as it is; refine: RELION's auto-refinement by "
        "MPI; auto: refine with 8 threads and 1,000 particles or more, else search.",
        "auto",
        choices=("auto", "search", "refine"),
    )
    lowpass: float = option("Low-pass the map there, in angstrom.", 15.0, minimum=1)
    symmetry: str = option("Point group of the map: C1, C4, D2, T, O, I, ...", "C1")
    align: bool = option("Turn all poses by one rotation first, for maps in a frame of their own.", False)
    healpix_order: int = option("Angles of the first search: 1: 15, 2: 7.5, 3: 3.75 degrees.", 2, minimum=1, maximum=5)
    shift_range: float = option("Farthest shift along x or y, in angstrom.", 20.0, minimum=1)
    diameter: float | None = option("Particle diameter in angstrom. (default: 0.84 box)", None, minimum=1)
    contrast: str = option(
        "Sign of the particles against the map: bright if the same.", "auto", choices=("auto", "bright", "dark")
    )
    threads: int | None = option("Processor threads. (default: all)", None, minimum=1)
    limit: int | None = option("Use the first particles only.", None, minimum=1)
    pixel_size: float | None = option("Pixel size in angstrom, where the files give none.", None)
    overwrite: bool = option("Replace an output in use.", False)

    def __post_init__(self) -> None:
        check_options(self)
        point_group(self.symmetry)
        if (self.particles is None) == (self.estimated is None):
            raise InputError("poses: pass either <PARTICLES>, for RELION to find their poses, or <estimated>")
        if self.particles is not None and self.reference_map is None:
            raise InputError(f"{self.particles}: to find poses a map is needed; pass <reference_map>")


def run(options: Options) -> dict[str, Any]:
    truth = read_poses(options.truth, options)
    if options.estimated is None:
        return _found(options, truth)
    estimated = read_poses(options.estimated, options)
    matched = _matched(estimated, truth)
    with claim_output(options.output, overwrite=options.overwrite) as folder:
        found = {"estimated": str(options.estimated), "matched_by": "name" if matched is not estimated else "order"}
        return _write(folder, options, matched, truth, found)


@dataclass(frozen=True)
class Poses:
    """Poses that a file holds, in its order: euler_deg rot, tilt, psi; origin_angstrom x, y; pixel_size in angstrom."""

    path: Path
    names: list[str]
    euler_deg: np.ndarray
    origin_angstrom: np.ndarray
    pixel_size: np.ndarray
    probability: np.ndarray | None = None

    def rows(self, places: np.ndarray) -> Poses:
        """Return the poses at these places."""
        names, probability = [self.names[i] for i in places], self.probability
        parts = (self.euler_deg[places], self.origin_angstrom[places], self.pixel_size[places])
        return Poses(self.path, names, *parts, None if probability is None else probability[places])


def read_poses(path: Path, options: Options) -> Poses:
    """Return the poses of any particle file, the first ``limit`` ones; no image needs to be there.

    Raises
    ------
    InputError: no poses, or no pixel size and none passed.
    """
    reader = FORMATS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: unknown extension {path.suffix!r}; expected one of {', '.join(FORMATS)}")
    metadata = reader(path, Companions(options.pixel_size))
    table = metadata.table.iloc[: options.limit]
    missing = [name for name in ANGLES if name not in table.columns]
    if missing:
        raise InputError(f"{path}: no {', '.join(missing)}; expected particles with poses; pass the file that has them")
    sizes = metadata.optics[PIXEL_SIZE].to_numpy(np.float64)[optics_rows(path, table, metadata.optics)]
    if options.pixel_size is not None:
        sizes = np.full(len(table), options.pixel_size)
    if not (sizes > 0).all():
        raise InputError(f"{path}: no pixel size ({PIXEL_SIZE}); add it, or pass <pixel_size>")
    origins = np.zeros((len(table), 2))
    if set(ORIGINS) <= set(table.columns):
        origins = table[list(ORIGINS)].to_numpy(np.float64)
    probability = table[PROBABILITY].to_numpy(np.float64) if PROBABILITY in table.columns else None
    names = table[IMAGE_NAME].astype(str).tolist()
    return Poses(path, names, table[list(ANGLES)].to_numpy(np.float64), origins, sizes, probability)


def _found(options: Options, truth: Poses) -> dict[str, Any]:
    assert options.particles is not None
    assert options.reference_map is not None
    particles = read_particles(options.particles, pixel_size=options.pixel_size).subset(slice(options.limit))
    _check_count(options.particles, len(particles), truth)
    work = _claim(options)
    search = PoseSearch(
        particles,
        options.reference_map,
        options.mode,
        options.symmetry.upper(),
        options.lowpass,
        options.healpix_order,
        options.shift_range,
        options.diameter or DIAMETER_OF_BOX * particles.box * float(particles.pixel_size[0]),
        options.contrast,
        options.threads or default_threads(),
    )
    result = search_poses(search, work, overwrite=options.overwrite)
    names = particles.table[IMAGE_NAME].astype(str).tolist()
    p = result.poses
    found = Poses(options.particles, names, p.euler_deg, p.origin_angstrom, particles.pixel_size, p.probability)
    _write_star(options.output, particles, p)
    return _write(options.output, options, found, truth, result.facts)


def _claim(options: Options) -> Path:
    """Return RELION's folder in the output; a folder without one belongs to something else."""
    work = options.output / "relion"
    if options.output.exists() and not options.output.is_dir():
        raise InputError(f"{options.output}: a file; pass another <output>")
    if options.output.is_dir() and any(options.output.iterdir()) and not work.is_dir():
        raise InputError(f"{options.output}: the output is in use by something else; pass another <output>")
    (options.output / "summary.json").unlink(missing_ok=True)
    return work


def _check_count(path: Path, n: int, truth: Poses) -> None:
    if n != len(truth.names):
        raise InputError(
            f"{truth.path}: {len(truth.names)} particles; {path} has {n}; the rows must be the same particles in the "
            "same order; pass the matching file, or <limit>"
        )


def _matched(estimated: Poses, truth: Poses) -> Poses:
    """Return the poses in the order of the truth: by image name where both name the same images, else as they are."""
    _check_count(estimated.path, len(estimated.names), truth)
    if estimated.names == truth.names or len(set(truth.names)) < len(truth.names):
        return estimated
    place = {name: i for i, name in enumerate(estimated.names)}
    if place.keys() != set(truth.names):
        return estimated
    log.info("%s: rows are in another order than those of %s; matched by name", estimated.path, truth.path)
    return estimated.rows(np.array([place[name] for name in truth.names]))


def _write(folder: Path, options: Options, found: Poses, truth: Poses, facts: Mapping[str, Any]) -> dict[str, Any]:
    euler, origin = ([torch.from_numpy(np.array(getattr(p, name))) for p in (found, truth)] for name in POSE)
    sizes = torch.from_numpy(np.array(truth.pixel_size))
    errors = pose_errors(euler[0], origin[0], euler[1], origin[1], sizes, options.symmetry, options.align)
    table = _table(found, errors)
    partial = folder / ".pose_errors.csv.partial"
    table.to_csv(partial, index=False, float_format="%.6g")
    partial.replace(folder / "pose_errors.csv")
    (folder / "pose_errors.png").write_bytes(pose_histograms(errors.angle_deg.numpy(), errors.shift_angstrom.numpy()))
    inputs = [options.particles, options.estimated, options.truth, options.reference_map]
    write_provenance(folder, "poses", options, [path for path in inputs if path is not None])
    aligned = {"aligned": options.align, "frame_turn_deg": _turn_deg(errors)}
    summary = {**errors.summary(), **aligned, "symmetry": options.symmetry.upper(), **facts}
    if summary["hand_flipped"]:
        log.warning("the poses are those of the other hand: of the mirror image of the map that the truth belongs to")
    write_summary(folder, summary)
    return summary


def _table(found: Poses, errors: PoseErrors) -> pd.DataFrame:
    names = ("angle_deg", "view_deg", "shift_angstrom", "shift_pixel", "other_hand_deg")
    table = pd.DataFrame({"image": found.names} | {name: getattr(errors, name).numpy() for name in names})
    if found.probability is not None:
        table["probability"] = found.probability
    return table


def _turn_deg(errors: PoseErrors) -> float:
    cosine = (float(errors.frame.trace()) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _write_star(folder: Path, particles: ParticleStack, poses: RelionPoses) -> None:
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
