"""What a map is made from: full particles, measurements of them, or reconstructions, as images with their transfer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.io import Measurements, ParticleStack
from cryoprior.maps.geometry import Geometry
from cryoprior.measurement.reading import read_finite
from cryoprior.operators import Operator, measured_transfer

Views = tuple[Float[Tensor, "b box box"], Float[Tensor, "_ box half"] | None]


class Source(ABC):
    """Particles of one box and pixel size with their poses, from which images can be had by row."""

    @property
    @abstractmethod
    def path(self) -> Path:
        """The file, for messages."""

    @property
    @abstractmethod
    def n(self) -> int:
        """The number of particles."""

    @property
    @abstractmethod
    def box(self) -> int:
        """Pixels a side."""

    @property
    @abstractmethod
    def geometry(self) -> Geometry:
        """Poses, CTF and half set of every row."""

    @property
    @abstractmethod
    def mixes(self) -> bool:
        """Whether the images hold frequencies mixed with others, as sums of pixels leave them; see ``seen``."""

    @abstractmethod
    def views(self, rows: np.ndarray) -> Views:
        """Return the images of the rows, and the share of every Fourier coefficient that they hold (None: all)."""

    @abstractmethod
    def seen(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        """Return A+ A x, what the operators of these rows see of any images."""


@dataclass(frozen=True)
class StackParticles(Source):
    """Particles whose images are those of a stack; it says where they are, how many, how large, and their poses."""

    stack: ParticleStack

    @property
    def path(self) -> Path:
        return self.stack.path

    @property
    def n(self) -> int:
        return self.stack.n

    @property
    def box(self) -> int:
        return self.stack.box

    @cached_property
    def geometry(self) -> Geometry:
        return Geometry.read(self.stack, self.stack.table)


@dataclass(frozen=True)
class FullParticles(StackParticles):
    """Particles as recorded; every frequency counts."""

    @property
    def mixes(self) -> bool:
        return False

    def views(self, rows: np.ndarray) -> Views:
        return read_finite(self.stack, rows), None

    def seen(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        return images


@dataclass(frozen=True)
class MeasuredParticles(Source):
    """Least-squares images of measurements, with no prior; a frequency counts for what was measured of it."""

    measurements: Measurements
    operator: Operator

    @property
    def path(self) -> Path:
        return self.measurements.path

    @property
    def n(self) -> int:
        return self.measurements.n

    @property
    def box(self) -> int:
        return self.measurements.box

    @cached_property
    def geometry(self) -> Geometry:
        return Geometry.read(self.measurements, self.measurements.particles[0])

    @property
    def mixes(self) -> bool:
        return _mixes(self.operator)

    def views(self, rows: np.ndarray) -> Views:
        y = torch.from_numpy(self.measurements.y(rows))
        if not bool(torch.isfinite(y).all()):
            row = int(rows[int((~torch.isfinite(y).all(1)).nonzero()[0])])
            raise InputError(f"{self.path}: row {row} holds values that are not finite; measure again without it")
        images = self.operator.pinv(y, self._particles(rows))
        return images, self.share(rows, images)

    def share(self, rows: np.ndarray, like: Tensor) -> Float[Tensor, "_ box half"]:
        """Return the share of every Fourier coefficient that was measured of these rows."""
        return measured_transfer(self.operator, self._particles(rows), like=like)

    def seen(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        return self.operator.project(images, self._particles(rows))

    def _particles(self, rows: np.ndarray) -> list[int]:
        return [int(i) for i in self.measurements.particle_index[rows]]


@dataclass(frozen=True)
class ControlParticles(StackParticles):
    """Full particles as an operator would have measured them without noise of its own, by least squares."""

    operator: Operator

    @property
    def mixes(self) -> bool:
        return _mixes(self.operator)

    def views(self, rows: np.ndarray) -> Views:
        images, particles = read_finite(self.stack, rows), self._particles(rows)
        seen = self.operator.pinv(self.operator.forward(images, particles), particles)
        return seen, measured_transfer(self.operator, particles, like=images)

    def seen(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        return self.operator.project(images, self._particles(rows))

    def _particles(self, rows: np.ndarray) -> list[int]:
        return [int(i) for i in self.stack.index[rows]]


@dataclass(frozen=True)
class ReconstructedParticles(StackParticles):
    """Reconstructed images: their measured part, and as much of the rest as ``prior_weight`` says.

    With A+ A x the measured part and w the weight, the image is A+ A x + w (x - A+ A x), and a frequency of which q is
    measured counts q + w (1 - q): 0 is the map of the measurements, 1 takes the images as if they had been recorded.
    """

    measured: MeasuredParticles
    prior_weight: float

    @property
    def mixes(self) -> bool:
        return self.prior_weight == 0 and self.measured.mixes

    def views(self, rows: np.ndarray) -> Views:
        images, weight = read_finite(self.stack, rows), self.prior_weight
        if weight == 1:
            return images, None
        seen, share = self.seen(images, rows), self.measured.share(rows, images)
        return seen + weight * (images - seen), share + weight * (1 - share)

    def seen(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        return self.measured.seen(images, rows)


@dataclass(frozen=True)
class Subset(Source):
    """The rows of a source that are kept, in their order."""

    source: Source
    rows: np.ndarray

    @property
    def path(self) -> Path:
        return self.source.path

    @property
    def n(self) -> int:
        return len(self.rows)

    @property
    def box(self) -> int:
        return self.source.box

    @cached_property
    def geometry(self) -> Geometry:
        whole, rows = self.source.geometry, self.rows
        ctf = None if whole.ctf is None else {key: value[rows] for key, value in whole.ctf.items()}
        return Geometry(whole.euler_deg[rows], whole.origin_pixel[rows], ctf, whole.half[rows], whole.pixel_size)

    @property
    def mixes(self) -> bool:
        return self.source.mixes

    def views(self, rows: np.ndarray) -> Views:
        return self.source.views(self.rows[rows])

    def seen(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        return self.source.seen(images, self.rows[rows])


def _mixes(operator: Operator) -> bool:
    return operator.fourier_diagonal([0]) is None


def row_batches(n: int, size: int) -> Iterator[np.ndarray]:
    """Yield the rows 0 .. n - 1 in batches."""
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))
