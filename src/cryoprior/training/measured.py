"""Training data that were never full images: measurements, each particle with its own masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.io.rows import row_batches
from cryoprior.operators import Operator
from cryoprior.prior.signal import Spectra
from cryoprior.random import ParticleNoise, numpy_stream
from cryoprior.training.arrays import MeasurementSource
from cryoprior.training.data import drawn_rows, random_split
from cryoprior.training.draws import BatchDraws

SWEEPS = 256
"""Mask sets that are searched for directions that no particle shows."""
BLIND = 1e-3
"""Share of an image's directions that may stay unseen by all mask sets."""


@dataclass(frozen=True)
class MeasuredBatch:
    """Measurements in the prior's grey scale, (b, m), and whose they are."""

    y: Float[Tensor, "b m"]
    particles: list[int]

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device) -> MeasuredBatch:
        """Return the batch on a device."""
        return MeasuredBatch(self.y.to(device), self.particles)

    def split(self, size: int) -> list[MeasuredBatch]:
        """Return the batch in parts of at most this size."""
        parts = row_batches(len(self), size)
        return [MeasuredBatch(self.y[p.start : p.stop], self.particles[p.start : p.stop]) for p in parts]


@dataclass(frozen=True)
class MeasuredStack:
    """One file of measurements with its operator, grey scale, spectra and split.

    x_prior = (x - offset) / scale; the scale of dark particles is negative. sigma: of y, in the prior's grey scale, in
    which the levels of the operator are too.
    """

    measurements: MeasurementSource
    operator: Operator
    offset: float
    scale: float
    spectra: Spectra
    train_rows: np.ndarray
    validation_rows: np.ndarray

    @property
    def path(self) -> Path:
        """Return where the measurements are."""
        return self.measurements.path

    @property
    def digest(self) -> str:
        """Return the digest of the particles that were measured."""
        return self.measurements.particles_digest

    @property
    def index(self) -> np.ndarray:
        """Return the number of every row in the particle file that was measured, (n,)."""
        return self.measurements.particle_index

    @property
    def pixel_size(self) -> np.ndarray:
        """Return angstrom per pixel of every row, (n,)."""
        return self.measurements.pixel_size

    @property
    def measured_by(self) -> str:
        """Return the digest of the operator."""
        return self.measurements.digest

    @property
    def has_clean(self) -> bool:
        """Return False: nothing clean is known of what was only measured."""
        return False

    @property
    def sigma(self) -> float:
        """Return the standard deviation of the noise on y in the prior's grey scale."""
        return self.measurements.sigma / abs(self.scale)

    def batch(self, rows: np.ndarray) -> MeasuredBatch:
        """Return these rows in the prior's grey scale."""
        y = torch.from_numpy(self.measurements.y(rows))
        if not bool(torch.isfinite(y).all()):
            raise InputError(
                f"{self.path}: measurements that are not finite; expected numbers; leave these particles out"
            )
        particles = [int(p) for p in self.index[rows]]
        ones = self.operator.forward(torch.ones(len(y), self.operator.box, self.operator.box), particles)
        return MeasuredBatch((y - self.offset * ones) / self.scale, particles)


def measured_split(measurements: MeasurementSource, validation: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and the rows held out; InputError for too few particles."""
    return random_split(measurements.path, measurements.n, validation, seed, minimum=1)


class TrainingMeasurements:
    """One file of measurements in a seeded order for every epoch."""

    def __init__(self, stack: MeasuredStack, seed: int) -> None:
        self.stack, self.seed, self.box = stack, seed, stack.measurements.box
        self.spectra = stack.spectra
        self.stacks: Sequence[MeasuredStack] = (stack,)

    def __len__(self) -> int:
        return len(self.stack.train_rows)

    def augmented(self, start: int, size: int, draws: BatchDraws) -> MeasuredBatch:
        """Return the particles at places start .. start + size of the endless list of shuffled epochs.

        Nothing is turned or mirrored: the masks would have to turn too.
        """
        places = np.arange(start, start + size)
        rows = [self._order(int(epoch))[place] for epoch, place in zip(*np.divmod(places, len(self)), strict=True)]
        return self.stack.batch(self.stack.train_rows[rows])

    def validation(self, limit: int) -> tuple[MeasuredBatch, Float[Tensor, "b box half"]]:
        """Return up to ``limit`` held-out particles, drawn, and 0 for the power of their noise, which is not known."""
        held = self.stack.batch(drawn_rows(self.stack.validation_rows, limit, self.seed))
        return held, torch.zeros(len(held), self.box, self.box // 2 + 1)

    def _order(self, epoch: int) -> np.ndarray:
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            self._shuffled = numpy_stream(self.seed, "epoch", epoch).permutation(len(self))
        return self._shuffled


def check_coverage(path: Path, operator: Operator) -> None:
    """Raise InputError where some directions of an image are seen in no particle.

    What no mask ever showed cannot be withheld, so nothing could be learned of it. Random images lose, one mask
    set after another, all that the set sees; what is left after up to 256 sets is the blind share.
    """
    particles = range(4)
    left = ParticleNoise(0, "coverage", particles).normal_like(torch.empty(4, operator.box, operator.box))
    power = float(left.square().sum())
    for sweep in range(min(SWEEPS, 16 * operator.sets)):
        left = left - operator.project(left, [sweep % operator.sets] * len(left))
        blind = float(left.square().sum()) / power
        if blind < BLIND:
            return
    raise InputError(
        f"{path}: {operator.sets} mask set{'s leave' if operator.sets > 1 else ' leaves'} "
        f"{blind:.0%} of an image unseen in every one of them, and nothing can be learned of that part; expected masks "
        f"that vary from particle to particle: measure with more sets, for example {operator.name}:...,sets=64, or "
        "train on full images"
    )
