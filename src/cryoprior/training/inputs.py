"""What a training run is given: arrays, stacks of particles, measurements, or the files that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cryoprior.errors import InputError
from cryoprior.io import Measurements, ParticleStack, read_particles
from cryoprior.io.formats.columns import TREATMENT
from cryoprior.io.treatment import PLAIN, image_treatments, one_treatment
from cryoprior.measurement.reading import open_measurements
from cryoprior.operators import Operator
from cryoprior.training.arrays import (
    ImageArray,
    ImageSource,
    MeasurementArray,
    MeasurementSource,
    image_array,
    measurement_array,
)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """One or several data sets of images, and their clean images where they are known."""

    images: Sequence[ImageSource]
    clean: Sequence[ImageSource] | None = None

    def __post_init__(self) -> None:
        if self.clean is not None and len(self.clean) != len(self.images):
            raise InputError(f"<clean>: {len(self.clean)} for {len(self.images)} stacks; give one for each, in order")
        for images, clean in zip(self.images, self.clean or (), strict=False):
            if not _treated_alike(images, clean):
                raise InputError(
                    f"{clean.path}: its images were not treated with their CTF as those of {images.path} were "
                    f"({', '.join(TREATMENT.values())}); pass clean images that were"
                )

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the files that were named, none of what lies in memory."""
        return tuple(source.path for source in self._read)

    @property
    def files(self) -> tuple[Path, ...]:
        """Return all files that are read: those that were named, and their image stacks."""
        return (*self.paths, *(path for source in self._read for path in source.files))

    @property
    def treatment(self) -> str:
        """Return what was done to the images with their CTF: ``mixed`` if not the same to all; arrays are plain."""
        return one_treatment(np.array([one_treatment(_treatments(source)) for source in self.images], dtype=object))

    @property
    def _read(self) -> list[ImageSource]:
        return [source for source in (*self.images, *(self.clean or ())) if not isinstance(source, ImageArray)]


def _treatments(source: ImageSource) -> np.ndarray:
    """Return what was done to each image with its CTF, (n,); images in memory are taken as plain."""
    if isinstance(source, ParticleStack):
        return image_treatments(source.path, source.table, source.optics)
    return np.full(source.n, PLAIN, dtype=object)


def _treated_alike(images: ImageSource, clean: ImageSource) -> bool:
    """Return whether two files state the same treatment row by row; what lies in memory states none."""
    stated = isinstance(images, ParticleStack) and isinstance(clean, ParticleStack) and images.n == clean.n
    return not stated or bool((_treatments(images) == _treatments(clean)).all())


@dataclass(frozen=True, eq=False)
class MeasuredData:
    """One data set of which only measurements are known, and the operator that measured."""

    measurements: MeasurementSource
    operator: Operator

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the file that was named, none of measurements in memory."""
        return () if isinstance(self.measurements, MeasurementArray) else (self.measurements.path,)

    @property
    def files(self) -> tuple[Path, ...]:
        """Return all files that are read."""
        return self.paths

    @property
    def treatment(self) -> str:
        """Return what was done to the measured images with their CTF; ``plain`` for measurements in memory."""
        if not isinstance(self.measurements, Measurements):
            return PLAIN
        return one_treatment(image_treatments(self.measurements.path, *self.measurements.particles))


def training_data(
    images: Any,
    pixel_size: float | None,
    clean: Any,
    operator: Operator | None,
    sigma: float,
    particles: Sequence[int] | np.ndarray | None,
) -> TrainingData | MeasuredData:
    """Return what a caller from Python gives; see :func:`cryoprior.training.engine.train`.

    Raises
    ------
    InputError: arrays of another shape or without a pixel size, clean images that do not match or of measurements.
    """
    if operator is None:
        signal = None if clean is None else _data_sets(clean, pixel_size, "clean")
        return TrainingData(_data_sets(images, pixel_size, "images"), signal)
    _refuse(getattr(images, "path", "y"), clean=clean)
    if isinstance(images, MeasurementSource):
        return MeasuredData(images, operator)
    return MeasuredData(measurement_array(images, operator, sigma, pixel_size, particles), operator)


def read_training_data(
    paths: Sequence[Path], clean: Sequence[Path], pixel_size: float | None
) -> TrainingData | MeasuredData:
    """Return particle stacks, or one file of measurements.

    Raises
    ------
    InputError: measurements beside other files, with clean images or with a pixel size; files that cannot be read.
    """
    if not any(map(is_measured, paths)):
        stacks, signal = ([read_particles(path, pixel_size=pixel_size) for path in part] for part in (paths, clean))
        if len(stacks) == len(signal):
            signal = [one.in_order_of(stack.identified) for one, stack in zip(signal, stacks, strict=True)]
        return TrainingData(stacks, signal or None)
    if len(paths) > 1:
        raise InputError(
            f"{paths[0]}: measurements beside {len(paths) - 1} more; expected one .zarr alone, or particle stacks"
        )
    _refuse(paths[0], clean=tuple(clean) or None, pixel_size=pixel_size)
    return MeasuredData(*open_measurements(paths[0]))


def is_measured(path: Path) -> bool:
    """Return whether a path names measurements and not particles."""
    return path.suffix == ".zarr" or (path / "zarr.json").is_file()


def _refuse(name: Any, **given: Any) -> None:
    """Raise InputError for the first option that belongs to images and not to measurements."""
    for option, value in given.items():
        if value is not None:
            raise InputError(f"<{option}> with {name}: measurements hold no images; leave it out")


def _data_sets(given: Any, pixel_size: float | None, name: str) -> list[ImageSource]:
    if not isinstance(given, list | tuple):
        return [_data_set(given, pixel_size, name)]
    return [_data_set(one, pixel_size, f"{name}[{i}]") for i, one in enumerate(given)]


def _data_set(given: Any, pixel_size: float | None, name: str) -> ImageSource:
    return given if isinstance(given, ImageSource) else image_array(given, pixel_size, name)
