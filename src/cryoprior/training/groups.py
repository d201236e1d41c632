"""What a training run learns from: particle images, or measurements of particles that were never images."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cryoprior.io.rows import spread_rows
from cryoprior.measurement.appearance import fit_appearance
from cryoprior.operators import Operator
from cryoprior.prior.config import PriorConfig
from cryoprior.prior.signal import Spectra
from cryoprior.training.arrays import ImageSource, MeasurementSource
from cryoprior.training.data import FIXED_VALIDATION, TrainingImages, TrainingStack, training_stack
from cryoprior.training.measured import MeasuredStack, TrainingMeasurements, check_coverage, measured_split
from cryoprior.training.objectives import DdpmObjective, Objective, SignalObjective
from cryoprior.training.operator_objective import OperatorObjective
from cryoprior.training.operator_pool import OperatorPool
from cryoprior.training.withheld import WithheldObjective

APPEARANCE_PARTICLES = 512
"""Particles from which grey scale and spectrum of a measured data set are estimated."""

TrainingSet = TrainingStack | MeasuredStack
Group = TrainingImages | TrainingMeasurements


def image_groups(
    particles: Sequence[ImageSource],
    clean: Sequence[ImageSource] | None,
    box: int | None,
    validation: float,
    seed: int,
) -> list[Group]:
    """Return the particle images, those of one box together; each data set is resampled to ``box`` where one is given.

    Parameters
    ----------
    clean: the clean images of each data set in turn, where they are known.
    validation: fraction of the particles that is held out.
    """
    stacks = []
    for i, noisy in enumerate(particles):
        pair = [_at_box(images, box) for images in (noisy, *(clean[i : i + 1] if clean else ()))]
        minimum = min(FIXED_VALIDATION, max(1, noisy.n // 5))
        stacks.append(training_stack(pair[0], pair[1] if clean else None, validation, seed, minimum=minimum))
    boxes = sorted({s.particles.box for s in stacks})
    return [TrainingImages([s for s in stacks if s.particles.box == box], seed) for box in boxes]


def _at_box(images: ImageSource, box: int | None) -> ImageSource:
    if not box or box == images.box:
        return images
    return images.resized(box, "fourier" if images.box > box else "bicubic")


def measured_group(
    measurements: MeasurementSource, operator: Operator, validation: float, seed: int
) -> TrainingMeasurements:
    """Return measured particles, with the grey scale and the spectrum that their measurements show.

    Raises
    ------
    InputError: masks that leave a part of the image unseen in every particle, too few particles, no power above sigma.
    """
    check_coverage(measurements.path, operator)
    train_rows, validation_rows = measured_split(measurements, validation, seed)
    rows = train_rows[spread_rows(len(train_rows), APPEARANCE_PARTICLES, nearest=True)]
    y, numbers = torch.from_numpy(measurements.y(rows)), measurements.particle_index[rows].tolist()
    with torch.no_grad():
        appearance = fit_appearance(y, operator, measurements.sigma, numbers)
    power = tuple(appearance.power.tolist())
    stack = MeasuredStack(
        measurements,
        appearance.intensity.operator(operator),
        appearance.intensity.offset,
        appearance.intensity.scale,
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
