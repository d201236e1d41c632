"""What a map is made from: full particles, measurements of them, or reconstructions, as images with their transfer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.io import Measurements, ParticleStack
from cryoprior.maps.arrays import InMemory, read_images
from cryoprior.maps.geometry import Geometry
from cryoprior.maps.sight import Sight
from cryoprior.maps.source import Source, Views
from cryoprior.operators import Operator


@dataclass(frozen=True)
class ImageParticles(Source):
    """Particles with images, in a stack or in memory; they give number, box and poses."""

    stack: ParticleStack | InMemory

    @property
    def path(self) -> Path:
        return self.stack.path

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.stack.path, *self.stack.files) if isinstance(self.stack, ParticleStack) else ()

    @property
    def n(self) -> int:
        return self.stack.n

    @property
    def box(self) -> int:
        return self.stack.box

    @cached_property
    def geometry(self) -> Geometry:
        stack = self.stack
        return stack.geometry if isinstance(stack, InMemory) else Geometry.read(stack, stack.table, stack.optics)


@dataclass(frozen=True)
class FullParticles(ImageParticles):
    """Particles as recorded; every frequency counts."""

    @property
    def mixes(self) -> bool:
        return False

    @property
    def mask_sets(self) -> np.ndarray:
        return np.zeros(self.n, int)

    def views(self, rows: np.ndarray) -> Views:
        return read_images(self.stack, rows), None

    def seen(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        return images


@dataclass(frozen=True)
class MeasuredParticles(Source):
    """Least-squares images of measurements, with no prior; a frequency counts for what was measured of it."""

    measurements: Measurements | InMemory
    operator: Operator

    @property
    def path(self) -> Path:
        return self.measurements.path

    @property
    def files(self) -> tuple[Path, ...]:
        return () if isinstance(self.measurements, InMemory) else (self.measurements.path,)

    @property
    def n(self) -> int:
        return self.measurements.n

    @property
    def box(self) -> int:
        return self.measurements.box

    @cached_property
    def geometry(self) -> Geometry:
        measurements = self.measurements
        if isinstance(measurements, InMemory):
            return measurements.geometry
        return Geometry.read(measurements, *measurements.particles)

    @cached_property
    def sight(self) -> Sight:
        """What the operator sees of these particles."""
        measurements = self.measurements
        index = measurements.index if isinstance(measurements, InMemory) else measurements.particle_index
        return Sight(self.operator, index)

    @property
    def mixes(self) -> bool:
        return self.sight.mixes

    @property
    def mask_sets(self) -> np.ndarray:
        return self.sight.mask_sets

    def views(self, rows: np.ndarray) -> Views:
        images = self.operator.pinv(self._y(rows), self.sight.particles(rows))
        return images, self.sight.share(rows, images)

    def seen(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        return self.sight.seen(images, rows)

    def _y(self, rows: np.ndarray) -> Float[Tensor, "b m"]:
        if isinstance(self.measurements, InMemory):
            return self.measurements.read(rows)
        y = torch.from_numpy(self.measurements.y(rows))
        if not bool(torch.isfinite(y).all()):
            row = int(rows[int((~torch.isfinite(y).all(1)).nonzero()[0])])
            raise InputError(f"{self.path}: row {row} holds values that are not finite; measure again without it")
        return y


@dataclass(frozen=True)
class ReconstructedParticles(ImageParticles):
    """Reconstructed images: their measured part, and as much of the rest as ``prior_weight`` says.

    A+ A x is the measured part and w the weight. The image is A+ A x + w (x - A+ A x), and a frequency of which q is
    measured counts q + w (1 - q): 0 is the map of the measurements, 1 takes the images as if they had been recorded.
    """

    sight: Sight
    prior_weight: float

    @property
    def mixes(self) -> bool:
        return self.prior_weight == 0 and self.sight.mixes

    @property
    def mask_sets(self) -> np.ndarray:
        return self.sight.mask_sets

    def views(self, rows: np.ndarray) -> Views:
        images, weight = read_images(self.stack, rows), self.prior_weight
        if weight == 1:
            return images, None
        seen, share = self.seen(images, rows), self.sight.share(rows, images)
        return seen + weight * (images - seen), share + weight * (1 - share)

    def seen(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        return self.sight.seen(images, rows)
