"""How many of the particles trained the prior, known by their images, else by the file that they came from."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from cryoprior.measurement.full_images import Measured
from cryoprior.prior import Denoiser, Prior
from cryoprior.prior.checkpoint import EMBEDDED

BY_IMAGES, BY_FILE = "images", "file"

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class Overlap:
    """How many particles trained the prior, and by what they were recognised.

    known_by: ``images``, whatever file they came from; ``file``, where the digests of the images are not all recorded:
        then only the very file that the prior was trained on is recognised. None where no prior was asked.
    """

    count: int
    known_by: str | None


def training_overlap(prior: Denoiser | None, measurements: Measured) -> Overlap:
    """Return how many of these particles trained the prior."""
    if not isinstance(prior, Prior):
        return Overlap(0, None)
    rows = prior.config.trained_on.get(measurements.particles_digest, [])
    trained = np.isin(measurements.particle_index, rows)
    known = prior.particles
    digests = None if known is None else measurements.image_digests
    if known is None or digests is None:
        return Overlap(int(trained.sum()), BY_FILE)
    trained |= known.among(digests)
    return Overlap(int(trained.sum()), BY_IMAGES if known.complete else BY_FILE)


def warn_of_overlap(overlap: Overlap, n: int, prior: str) -> None:
    """Log what the overlap means for the results, and what cannot be known."""
    if overlap.count:
        log.warning("%d of %d particles TRAINED this prior: judge nothing by them; use held-out ones", overlap.count, n)
    if overlap.known_by == BY_FILE and prior not in EMBEDDED:
        log.warning(
            "%s: not all images that trained it are recorded, there or in the measurements, so that training particles "
            "are recognised only in the very file it was trained on; make sure that it has never seen these",
            prior,
        )
