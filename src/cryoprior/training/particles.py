"""The digests of the images that a run trains on, kept with the prior."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt64

from cryoprior.io import Measurements, ParticleStack
from cryoprior.io.digests import BATCH, digests_of, read_with_digests
from cryoprior.io.rows import row_batches
from cryoprior.prior.training_particles import TrainingParticles
from cryoprior.progress import track
from cryoprior.training.arrays import ImageSource
from cryoprior.training.data import TrainingStack
from cryoprior.training.setup import TrainingSetup


def training_particles(setup: TrainingSetup) -> TrainingParticles:
    """Return the digests of all images that a run trains on, those of the prior that it goes on from among them.

    Every image is read once more. Measurements bring the digests of what was measured; those in memory, and those of an
    older version, have none, and the answer is then incomplete.
    """
    known = TrainingParticles.of(np.zeros(0, np.uint64))
    for stack in setup.stacks:
        if isinstance(stack, TrainingStack):
            known = known.joined(TrainingParticles.of(_of_images(stack.particles, stack.train_rows)))
        else:
            known = known.joined(_of_measured(stack.measurements, stack.train_rows))
    return known if setup.begun_from is None else known.joined(setup.begun_from.particles)


def _of_images(source: ImageSource, rows: np.ndarray) -> UInt64[np.ndarray, " k"]:
    found = [np.zeros(0, np.uint64)]
    for part in track(row_batches(len(rows), BATCH), "digests of the particles"):
        places = rows[part.start : part.stop]
        if isinstance(source, ParticleStack):
            found.append(read_with_digests(source, places)[1].ravel())
        else:
            found.append(digests_of(source.read(places)))
    return np.concatenate(found)


def _of_measured(measurements: object, rows: np.ndarray) -> TrainingParticles | None:
    digests = measurements.image_digests if isinstance(measurements, Measurements) else None
    return None if digests is None else TrainingParticles.of(digests[rows])
