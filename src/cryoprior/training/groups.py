"""What a training run learns from: particle stacks, or measurements of particles that were never images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from cryoprior.io import ParticleStack, read_particles
from cryoprior.measurement.appearance import fit_appearance
from cryoprior.measurement.reading import open_measurements
from cryoprior.prior.checkpoint import PriorConfig
from cryoprior.prior.signal import Spectra
from cryoprior.training.data import TrainingImages, TrainingStack, training_stack
from cryoprior.training.measured import MeasuredStack, TrainingMeasurements, check_coverage, measured_split
from cryoprior.training.objectives import DdpmObjective, Objective, SignalObjective
from cryoprior.training.operator_objective import OperatorObjective
from cryoprior.training.operator_pool import OperatorPool
from cryoprior.training.withheld import WithheldObjective

FIXED_VALIDATION = 16
"""The paper's fixed validation subset."""
APPEARANCE_PARTICLES = 512
"""Particles from which grey scale and spectrum of a measured data set are found."""

TrainingSet = TrainingStack | MeasuredStack
Group = TrainingImages | TrainingMeasurements


def is_measured(path: Path) -> bool:
    """Return whether a path names measurements and not particles."""
    return path.suffix == ".zarr" or (path / "zarr.json").is_file()


def image_groups(
    particles: Sequence[Path],
    clean: Sequence[Path],
    box: int | None,
    pixel_size: float | None,
    validation: float,
    seed: int,
) -> list[Group]:
    """Return the particle stacks, those of one box together; each stack resampled to ``box`` where one is given."""
    stacks = []
    for i, path in enumerate(particles):
        pair: list[ParticleStack | None] = [read_particles(path, pixel_size=pixel_size), None]
        if clean:
            pair[1] = read_particles(clean[i], pixel_size=pixel_size)
        if box:
            pair = [s.resized(box, "fourier" if s.box > box else "bicubic") if s else s for s in pair]
        first = pair[0]
        assert first is not None
        minimum = min(FIXED_VALIDATION, max(1, first.n // 5))
        stacks.append(training_stack(first, pair[1], validation, seed, minimum=minimum))
    boxes = sorted({s.particles.box for s in stacks})
    return [TrainingImages([s for s in stacks if s.particles.box == box], seed) for box in boxes]


def measured_group(path: Path, validation: float, seed: int) -> TrainingMeasurements:
    """Return the particles of one file of measurements, their grey scale and spectrum found from what was measured.

    Raises
    ------
    InputError: masks that leave a part of the image unseen in every particle, too few particles, no power above sigma.
    """
    measurements, operator = open_measurements(path)
    check_coverage(path, operator)
    train_rows, validation_rows = measured_split(measurements, validation, seed)
    rows = train_rows[np.unique(np.linspace(0, len(train_rows) - 1, APPEARANCE_PARTICLES).round().astype(int))]
    y, numbers = torch.from_numpy(measurements.y(rows)), measurements.particle_index[rows].tolist()
    with torch.no_grad():
        found = fit_appearance(y, operator, measurements.sigma, numbers)
    power = tuple(found.power.tolist())
    stack = MeasuredStack(
        measurements,
        operator,
        found.intensity.offset,
        found.intensity.scale,
        Spectra(power, (0.0,) * len(power)),
        train_rows,
        validation_rows,
    )
    return TrainingMeasurements(stack, seed)


def make_objective(config: PriorConfig, group: Group, seed: int) -> Objective:
    """Return what is to be learned from a group."""
    if isinstance(group, TrainingMeasurements):
        signal, _ = group.spectra.grids(group.box, torch.empty(0))
        return WithheldObjective(signal, group.stack.operator, group.stack.sigma)
    if config.objective == "ddpm":
        return DdpmObjective(config.ddpm_scale, config.ddpm_offset)
    base = SignalObjective(group.signal, group.noise)
    family = config.family
    return base if family is None else OperatorObjective(base, OperatorPool(family, group.box, seed))
