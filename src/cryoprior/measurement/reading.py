"""Reads particles and measurements for a computation, and refuses what does not belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.io import Measurements, ParticleStack, read_measurements
from cryoprior.io.rows import spread_rows
from cryoprior.measurement.full_images import Measured
from cryoprior.operators import OPERATORS, Operator, parse_operator
from cryoprior.operators.levels import lloyd_max
from cryoprior.operators.rounding import set_levels

CALIBRATION_PARTICLES = 256


def open_measurements(path: Path | str) -> tuple[Measurements, Operator]:
    """Return the measurements in the folder ``path`` and the operator that made them; no row is read yet.

    Raises
    ------
    InputError: no measurements there, or an operator that is no longer the one that measured: its digest differs.
    """
    measurements = read_measurements(path)
    return measurements, measured_operator(measurements)


def measured_operator(measurements: Measurements) -> Operator:
    """Return the operator that made these measurements.

    Raises
    ------
    InputError: no installed package has the operator, it measures another number of numbers, or the digest of its
        arrays differs.
    """
    name = measurements.operator_spec.partition(":")[0]
    if name not in OPERATORS:
        raise InputError(
            f"{measurements.path}: measured with the operator {name!r}, which is not installed; expected one of "
            f"{', '.join(OPERATORS)}; install the package that brings it"
        )
    try:
        operator = parse_operator(measurements.operator_spec, box=measurements.box)
    except InputError as error:
        raise InputError(
            f"{measurements.path}: its operator cannot be made: {error.message}; the file is damaged: copy it again, "
            "or measure again"
        ) from None
    if operator.m != measurements.m:
        raise InputError(
            f"{measurements.path}: {measurements.m} numbers per particle; {measurements.operator_spec} measures "
            f"{operator.m}; the file is damaged: copy it again, or measure again"
        )
    measurements.check_operator(operator.digest())
    _check_levels(measurements, operator)
    return operator


def _check_levels(measurements: Measurements, operator: Operator) -> None:
    """Raise InputError where the file holds other bits or levels than the fields of its operator say."""
    if measurements.bits != operator.bits:
        raise InputError(
            f"{measurements.path}: numbers of {measurements.bits or 32} bits; {measurements.operator_spec} has "
            f"{operator.bits or 32}; the file is damaged: copy it again, or measure again"
        )
    levels = measurements.levels
    if levels is None or operator.bits is None:
        return
    fits = levels.kind.shape == (operator.sets, operator.m)
    fits = fits and np.allclose(levels.level, lloyd_max(operator.bits).levels, rtol=1e-5)
    for index in range(operator.sets if fits else 0):
        kind, (mean, deviation) = levels.kind[index], set_levels(operator, index)
        close = [
            np.allclose(*pair, rtol=1e-5, atol=1e-30)
            for pair in ((levels.mean[kind], mean), (levels.deviation[kind], deviation))
        ]
        fits = fits and all(close)
    if not fits:
        raise InputError(
            f"{measurements.path}: levels that do not fit {measurements.operator_spec}; the file is damaged: copy it "
            "again, or measure again"
        )


def calibration_sample(n: int) -> np.ndarray:
    """Return the places of at most 256 particles, evenly spread over a stack of n: the same for every shard of it."""
    return spread_rows(n, CALIBRATION_PARTICLES, nearest=True)


@runtime_checkable
class MeasuredRows(Protocol):
    """Measurements by place, on the device where they are used, with the particles' numbers in the whole stack."""

    def __len__(self) -> int:
        """Return how many particles were measured."""
        ...

    def rows(self, places: range | np.ndarray) -> tuple[Float[Tensor, "b m"], list[int]]:
        """Return the measurements at these places, (b, m), and their particles' numbers."""
        ...


@dataclass(frozen=True, repr=False)
class ArrayRows:
    """Measurements in memory, (n, m), with the particles' numbers."""

    y: Float[Tensor, "n m"]
    particles: Sequence[int]

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, places: range | np.ndarray) -> tuple[Float[Tensor, "b m"], list[int]]:
        """Return the measurements at these places, and their particles' numbers."""
        return self.y[list(places)], [int(self.particles[place]) for place in places]


@dataclass(frozen=True)
class StoredRows:
    """Measurements, or images as recorded, on disk, read when asked for."""

    measurements: Measured
    device: torch.device

    def __len__(self) -> int:
        return self.measurements.n

    def rows(self, places: range | np.ndarray) -> tuple[Float[Tensor, "b m"], list[int]]:
        """Return the measurements at these places, float32; InputError where a value is not finite."""
        index = np.asarray(places)
        y = self.measurements.y(index)
        return torch.from_numpy(y).to(self.device), [int(p) for p in self.measurements.particle_index[index]]


def read_finite(stack: ParticleStack, rows: np.ndarray) -> Tensor:
    """Return the images of these rows, (b, box, box) float32.

    Raises
    ------
    InputError: an image holds a NaN or an infinity.
    """
    images = torch.from_numpy(np.array(stack.read(rows), dtype=np.float32))
    if bool(torch.isfinite(images.sum())):  # then every value is; an overflow is looked at below
        return images
    bad = ~torch.isfinite(images).all(-1).all(-1)
    if bool(bad.any()):
        raise InputError(f"{stack.path}: particle {int(rows[bad.nonzero()[0, 0]]) + 1} is not finite; remove its row")
    return images


def read_varied(stack: ParticleStack, rows: np.ndarray) -> Tensor:
    """Return the images of these rows as :func:`read_finite` does; a constant image is an InputError too."""
    images = read_finite(stack, rows)
    constant = images.amax((-2, -1)) <= images.amin((-2, -1))
    if bool(constant.any()):
        row = int(rows[constant.nonzero()[0, 0]]) + 1
        raise InputError(f"{stack.path}: particle {row} is constant, so no score is defined for it; remove its row")
    return images


def recorded_measurements(folder: Path, recorded: Mapping[str, Any]) -> Path:
    """Return the measurements that a reconstruction recorded; InputError where it recorded none or they are gone."""
    if not recorded.get("measurements"):
        raise InputError(f"{folder / 'summary.json'}: records no measurements; pass <measurements=y.zarr>")
    path = Path(recorded["measurements"])
    beside = str(recorded.get("measurements_from_here", path))  # both may have moved together
    for candidate in (path, folder / path, folder / beside):
        if candidate.exists():
            return candidate
    raise InputError(f"{path}: these measurements, recorded in {folder}, are not there; pass <measurements=y.zarr>")


def measured_rows(stack: ParticleStack, measured: Measurements, n: int | None = None) -> ParticleStack:
    """Return the particles of a stack that were measured, row by row, at the box of the measurements.

    They are those that the measurements number if it is the file that was measured, and else found by what names them:
    see :func:`cryoprior.io.identity.matched`. ``n``: the first ones only.

    Raises
    ------
    InputError: particles that are not in the stack, or another box than the one that was measured.
    """
    wanted = measured[:n]
    if stack.digest() != measured.particles_digest:
        return resized_as_measured(stack.in_order_of(wanted.identified), measured)
    places = pd.Index(stack.index).get_indexer(wanted.particle_index)
    if (places < 0).any():
        raise InputError(
            f"{stack.path}: particle {int(wanted.particle_index[np.argmax(places < 0)]) + 1} of {measured.path} is not "
            "among those that were chosen; pass the stack that was measured"
        )
    return resized_as_measured(stack.subset(places), measured)


def resized_as_measured(stack: ParticleStack, measured: Measurements) -> ParticleStack:
    """Return the stack at the box of the measurements; InputError where they were measured of another box."""
    recorded, box = measured.header.resize, measured.box
    if stack.box == box:
        return stack
    if recorded is None or recorded["original_box"] != stack.box:
        original = box if recorded is None else recorded["original_box"]
        raise InputError(
            f"{stack.path}: box {stack.box}; {measured.path} has box {box}, measured of a stack of box {original}; "
            "pass the stack that was measured"
        )
    return stack.resized(box, recorded["method"])
