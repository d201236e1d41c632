"""What every source of a map offers: images by row with their transfer, and the geometry of the particles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from cryoprior.maps.geometry import Geometry

Views = tuple[Float[Tensor, "b box box"], Float[Tensor, "_ box half"] | None]


class Source(ABC):
    """Particles of one box and pixel size with their poses, from which images can be had by row."""

    @property
    @abstractmethod
    def path(self) -> Path:
        """The file, for messages."""

    @property
    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """All files and folders that are read for it."""

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

    @property
    @abstractmethod
    def mask_sets(self) -> np.ndarray:
        """The mask set of every row, (n,); 0 where nothing was masked."""

    @abstractmethod
    def views(self, rows: np.ndarray) -> Views:
        """Return the images of the rows, and the share of every Fourier coefficient that they hold (None: all)."""

    @abstractmethod
    def seen(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        """Return A+ A x, what the operators of these rows see of any images."""


@dataclass(frozen=True)
class Subset(Source):
    """The rows of a source that are kept, in their order."""

    source: Source
    rows: np.ndarray

    @property
    def path(self) -> Path:
        return self.source.path

    @property
    def files(self) -> tuple[Path, ...]:
        return self.source.files

    @property
    def n(self) -> int:
        return len(self.rows)

    @property
    def box(self) -> int:
        return self.source.box

    @cached_property
    def geometry(self) -> Geometry:
        return self.source.geometry.subset(self.rows)

    @property
    def mixes(self) -> bool:
        return self.source.mixes

    @property
    def mask_sets(self) -> np.ndarray:
        return np.asarray(self.source.mask_sets[self.rows])

    def views(self, rows: np.ndarray) -> Views:
        return self.source.views(self.rows[rows])

    def seen(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        return self.source.seen(images, self.rows[rows])
