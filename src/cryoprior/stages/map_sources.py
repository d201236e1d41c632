"""What a map is made from: full particles, measurements of them, or reconstructions, as images with their transfer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.io import Measurements, ParticleStack
from cryoprior.operators import Operator, measured_transfer
from cryoprior.stages.comparison import read_finite

SUBSET = "rlnRandomSubset"

Views = tuple[Float[Tensor, "b box box"], Float[Tensor, "_ box half"] | None]


class Source(Protocol):
    """Particles of one box and pixel size with their poses, from which images can be had by row."""

    @property
    def path(self) -> Path:
        """The file, for messages."""

    @property
    def n(self) -> int:
        """The number of particles."""

    @property
    def box(self) -> int:
        """Pixels a side."""

    @property
    def geometry(self) -> Geometry:
        """Poses, CTF and half set of every row."""

    def views(self, rows: np.ndarray) -> Views:
        """Return the images of the rows, and the share of every Fourier coefficient that they hold (None: all)."""


@dataclass(frozen=True)
class Geometry:
    """Pose, origin (pixels), CTF parameters (None: images as without a CTF) and half set (1 or 2) of every particle."""

    euler_deg: np.ndarray
    origin_pixel: np.ndarray
    ctf: dict[str, np.ndarray] | None
    half: np.ndarray
    pixel_size: float

    @classmethod
    def read(cls, source: ParticleStack | Measurements, table: pd.DataFrame) -> Geometry:
        """Return the geometry of a stack or of measurements.

        Half sets are rlnRandomSubset where the file has it (1 and 2); otherwise rows 1, 3, 5, ... are half 1.

        Raises
        ------
        InputError: no angles, several pixel sizes, a random subset other than 1 and 2.
        """
        poses, sizes = source.poses(), source.pixel_size
        if poses is None:
            raise InputError(
                f"{source.path}: no poses (rlnAngleRot, rlnAngleTilt, rlnAnglePsi); expected the poses of every "
                "particle; refine them first, or join them from the original star file"
            )
        if not np.allclose(sizes, sizes[0], rtol=1e-3):
            raise InputError(
                f"{source.path}: pixel sizes from {sizes.min():.4f} to {sizes.max():.4f} A; expected one; split the "
                "file by optics group, or bring all to one pixel size"
            )
        for name, values in (("an angle", poses[0]), ("an origin", poses[1])):
            if not np.isfinite(values).all():
                raise InputError(f"{source.path}: {name} that is not finite; expected numbers; remove these rows")
        origin = poses[1] / sizes[:, None]
        return cls(poses[0], origin, source.ctf_parameters(), _halves(source.path, table), float(sizes.mean()))


def _halves(path: Path, table: pd.DataFrame) -> np.ndarray:
    if SUBSET not in table.columns:
        return np.arange(len(table)) % 2 + 1
    halves = pd.to_numeric(table[SUBSET], errors="coerce").to_numpy()
    if not np.isin(halves, (1, 2)).all():
        row = int(np.argmin(np.isin(halves, (1, 2))))
        raise InputError(f"{path}: particle {row + 1} has {SUBSET} {table[SUBSET].iloc[row]}; expected 1 or 2")
    return np.asarray(halves, int)


@dataclass(frozen=True)
class FullParticles:
    """Particles as recorded; every frequency counts."""

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

    def views(self, rows: np.ndarray) -> Views:
        return read_finite(self.stack, rows), None


@dataclass(frozen=True)
class MeasuredParticles:
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

    def views(self, rows: np.ndarray) -> Views:
        y = torch.from_numpy(self.measurements.y(rows))
        if not bool(torch.isfinite(y).all()):
            row = int(rows[int((~torch.isfinite(y).all(1)).nonzero()[0])])
            raise InputError(f"{self.path}: row {row} holds values that are not finite; measure again without it")
        particles = [int(i) for i in self.measurements.particle_index[rows]]
        images = self.operator.pinv(y, particles)
        return images, measured_transfer(self.operator, particles, like=images)


@dataclass(frozen=True)
class ControlParticles:
    """Full particles as an operator would have measured them without noise of its own, by least squares."""

    stack: ParticleStack
    operator: Operator

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

    def views(self, rows: np.ndarray) -> Views:
        images, particles = read_finite(self.stack, rows), [int(i) for i in self.stack.index[rows]]
        seen = self.operator.pinv(self.operator.forward(images, particles), particles)
        return seen, measured_transfer(self.operator, particles, like=images)


@dataclass(frozen=True)
class ReconstructedParticles:
    """Reconstructed images: their measured part, and as much of the rest as ``prior_weight`` says.

    With A+ A x the measured part and w the weight, the image is A+ A x + w (x - A+ A x), and a frequency of which q is
    measured counts q + w (1 - q): 0 is the map of the measurements, 1 takes the images as if they had been recorded.
    """

    stack: ParticleStack
    measured: MeasuredParticles
    prior_weight: float

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

    def views(self, rows: np.ndarray) -> Views:
        images = read_finite(self.stack, rows)
        if self.prior_weight == 1:
            return images, None
        operator, weight = self.measured.operator, self.prior_weight
        particles = [int(i) for i in self.measured.measurements.particle_index[rows]]
        seen = operator.project(images, particles)
        share = measured_transfer(operator, particles, like=images)
        return seen + weight * (images - seen), share + weight * (1 - share)


@dataclass(frozen=True)
class Subset:
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

    def views(self, rows: np.ndarray) -> Views:
        return self.source.views(self.rows[rows])


def row_batches(n: int, size: int) -> Iterator[np.ndarray]:
    """Yield the rows 0 .. n - 1 in batches."""
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))
