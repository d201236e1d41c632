"""What is wrong with particles, measurements or a reconstruction: every finding, not just the first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float

from cryoprior.errors import InputError
from cryoprior.io.formats.columns import ANGLES, IMAGE_NAME
from cryoprior.io.measurements import Measurements
from cryoprior.io.opening import read_particles
from cryoprior.io.optics import Columns, check_honoured
from cryoprior.io.particles import ParticleStack
from cryoprior.io.rows import row_batches
from cryoprior.io.shards import FOLDER, finished_shards, shard_path

BATCH = 64
SHOWN = 5


def check_images(images: Float[np.ndarray, "b box box"], stack: ParticleStack, places: range | np.ndarray) -> None:
    """Raise InputError for the first image that holds NaN or infinity, or one grey value throughout."""
    for place, fault in _faults(images, places):
        raise InputError(
            f"{stack.path}: particle {place + 1} ({stack.table[IMAGE_NAME].iloc[place]}) {fault}; expected an image; "
            "leave it out (cryoprior validate lists all such)"
        )


def validate_particles(stack: ParticleStack) -> list[str]:
    """Return what is wrong with the particles, having read every image: images, CTF values, poses."""
    bad = [fault for places in row_batches(stack.n, BATCH) for fault in _faults(stack.read(places), places)]
    findings = [f"particle {place + 1} ({stack.table[IMAGE_NAME].iloc[place]}) {fault}" for place, fault in bad[:SHOWN]]
    if len(bad) > SHOWN:
        findings.append(f"{len(bad) - SHOWN} more images of the same kind")
    try:
        findings += [*_ctf_findings(stack), *stack.doubts()]
        check_honoured(Columns.of(stack.path, stack.table, stack.optics))
    except InputError as error:
        findings.append(error.message)
    present = [name for name in ANGLES if name in stack.table.columns]
    if "rlnAngleRot" in present and len(present) < len(ANGLES):
        findings.append(f"{', '.join(present)} without {', '.join(set(ANGLES) - set(present))}")
    poses = stack.poses()
    if poses is not None and not (np.isfinite(poses[0]).all() and np.isfinite(poses[1]).all()):
        findings.append("angles or origins that are not finite")
    return findings


def validate_measurements(measurements: Measurements) -> list[str]:
    """Return what is wrong with the measurements, having read every row; the operator is for the caller to check."""
    findings: list[str] = []
    bad: set[int] = set()
    for places in row_batches(measurements.n, BATCH):
        try:
            y = measurements.unchecked_y(places)
        except InputError as error:
            findings += [error.message] if error.message not in findings else []
            continue
        faulty = ~np.isfinite(y).all(axis=1)
        faulty |= np.ptp(y, axis=1) == 0 if measurements.m > 1 else False
        bad |= {places[int(row)] for row in np.flatnonzero(faulty)}
    if bad:
        rows = ", ".join(str(row + 1) for row in sorted(bad)[:SHOWN])
        findings.append(f"{len(bad)} particles whose measurements are not finite or all equal: {rows}")
    try:
        measurements.image_digests  # noqa: B018  # reading them is the check
    except InputError as error:
        findings.append(error.message)
    return findings


def validate_reconstruction(folder: Path) -> list[str]:
    """Return what is wrong with a reconstruction folder: its particles, and shards that no row refers to."""
    stack = read_particles(folder / "particles.star")
    findings = validate_particles(stack)
    referred = {str(name).partition("@")[2] for name in stack.table[IMAGE_NAME]}
    stray = [shard_path(folder, rows) for rows in finished_shards(folder)]
    names = [path.name for path in stray if f"{FOLDER}/{path.name}" not in referred]
    return findings + ([f"shards that no particle refers to: {', '.join(names)}"] if names else [])


def _faults(images: np.ndarray, places: range | np.ndarray) -> Iterator[tuple[int, str]]:
    finite = np.isfinite(images).all(axis=(1, 2))
    constant = images.min(axis=(1, 2)) == images.max(axis=(1, 2))
    for row in np.flatnonzero(~finite | constant):
        fault = "is constant" if finite[row] else "holds NaN or infinity"
        yield int(places[int(row)]), fault


def _ctf_findings(stack: ParticleStack) -> list[str]:
    ctf = stack.ctf_parameters()
    if ctf is None:
        return []
    return [f"{name} that is not finite" for name, values in ctf.items() if not np.isfinite(values).all()]
