"""What training reads, whether it lies in files or in memory: images of particles, or measurements of them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from cryoprior.errors import InputError
from cryoprior.io.resize import resize
from cryoprior.io.rows import spread_rows
from cryoprior.operators import Operator
from cryoprior.operators.rounding import rounding_sigma

DIGEST_IMAGES = 8


@runtime_checkable
class ImageSource(Protocol):
    """Images of one box, read by their places: a :class:`~cryoprior.io.ParticleStack`, or an :class:`ImageArray`."""

    @property
    def path(self) -> Path:
        """Return where they are, or what messages call them."""
        ...

    @property
    def index(self) -> np.ndarray:
        """Return the number of every image in the whole data set, (n,)."""
        ...

    @property
    def box(self) -> int:
        """Return the number of pixels on a side."""
        ...

    @property
    def n(self) -> int:
        """Return the number of images."""
        ...

    @property
    def pixel_size(self) -> np.ndarray:
        """Return angstrom per pixel of every image, (n,)."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the image stacks that are read."""
        ...

    def read(self, indices: Any) -> np.ndarray:
        """Return the images at these places, (b, box, box) float32."""
        ...

    def digest(self) -> str:
        """Return what identifies the whole data set."""
        ...

    def resized(self, box: int, method: str = "fourier") -> ImageSource:
        """Return the same images at another box."""
        ...


@runtime_checkable
class MeasurementSource(Protocol):
    """Measurements by particle: :class:`~cryoprior.io.Measurements` of a file, or a :class:`MeasurementArray`."""

    path: Path
    n: int
    box: int
    sigma: float
    digest: str
    particles_digest: str
    particle_index: np.ndarray

    @property
    def pixel_size(self) -> np.ndarray:
        """Return angstrom per pixel of every particle, (n,)."""
        ...

    def y(self, indices: Any) -> np.ndarray:
        """Return the measurements of the particles at these places, (b, m) float32."""
        ...


@dataclass(frozen=True, eq=False)
class ImageArray:
    """Images in memory. Their digest is that of their shape and of eight of them, spread over the array."""

    images: Float32[np.ndarray, "n box box"]
    pixel_size: np.ndarray
    path: Path

    @property
    def index(self) -> np.ndarray:
        """Return the places of the images, (n,)."""
        return np.arange(self.n)

    @property
    def box(self) -> int:
        """Return the number of pixels on a side."""
        return int(self.images.shape[-1])

    @property
    def n(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @property
    def files(self) -> tuple[Path, ...]:
        """Return nothing: no file is read."""
        return ()

    def read(self, indices: Any) -> np.ndarray:
        """Return the images at these places, (b, box, box)."""
        chosen: np.ndarray = self.images[indices]
        return chosen

    def digest(self) -> str:
        """Return the sha256 of the shape and of eight images."""
        return _digest(self.images)

    def resized(self, box: int, method: str = "fourier") -> ImageArray:
        """Return the images resampled to ``box``, and the pixel size carried along."""
        pixel_size = self.pixel_size * self.box / box
        return ImageArray(resize(self.images, box, method), pixel_size, self.path)


class MeasurementArray:
    """Measurements in memory: y, (n, m), of particles 0 to n - 1 unless ``particles`` numbers them otherwise."""

    def __init__(
        self,
        y: Float32[np.ndarray, "n m"],
        operator: Operator,
        sigma: float,
        pixel_size: float,
        particles: np.ndarray | None = None,
    ) -> None:
        self.path, self.n, self.box, self.sigma = (
            Path("y"),
            len(y),
            operator.box,
            math.hypot(sigma, rounding_sigma(operator)),
        )
        self.digest, self.particles_digest = operator.digest(), _digest(y)
        self.particle_index = np.arange(len(y)) if particles is None else particles
        self.pixel_size = np.full(len(y), float(pixel_size))
        self._y = y

    def y(self, indices: Any) -> np.ndarray:
        """Return the measurements of the particles at these places, (b, m)."""
        chosen: np.ndarray = self._y[indices]
        return chosen


def image_array(images: Any, pixel_size: float | None, name: str) -> ImageArray:
    """Return images that were given as a tensor or an array, (n, box, box).

    Raises
    ------
    InputError: another shape, or no pixel size.
    """
    array = _float32(images)
    if array.ndim != 3 or array.shape[1] != array.shape[2]:
        shape = " x ".join(map(str, array.shape))
        raise InputError(f"{name}: an array of {shape}; expected n x box x box; reshape it, or name the operator of y")
    return ImageArray(array, np.full(len(array), _known(pixel_size, name)), Path(name))


def measurement_array(
    y: Any, operator: Operator, sigma: float, pixel_size: float | None, particles: Any = None
) -> MeasurementArray:
    """Return measurements that were given as a tensor or an array, (n, m).

    Raises
    ------
    InputError: another shape, a number of particle indices that is not n, or no pixel size.
    """
    array = _float32(y)
    if array.ndim != 2:
        shape = " x ".join(map(str, array.shape))
        raise InputError(f"y: an array of {shape}; expected n x m, the measurements of a particle in each row")
    index = None if particles is None else np.asarray(particles, np.int64)
    if index is not None and len(index) != len(array):
        raise InputError(f"y: {len(array)} rows and {len(index)} <particles>; expected one number for each row")
    return MeasurementArray(array, operator, sigma, _known(pixel_size, "y"), index)


def _float32(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values, np.float32)


def _known(pixel_size: float | None, name: str) -> float:
    if pixel_size is None or not pixel_size > 0:
        raise InputError(f"{name}: an array does not say its pixel size; pass <pixel_size>, angstrom above 0")
    return float(pixel_size)


def _digest(array: np.ndarray) -> str:
    total = hashlib.sha256(f"|{array.shape}|{array.dtype.str}|".encode())
    total.update(np.ascontiguousarray(array[spread_rows(len(array), DIGEST_IMAGES)]).tobytes())
    return total.hexdigest()
