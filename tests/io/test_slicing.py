"""Stacks and measurements in square brackets: views of the particles that are meant, with all that belongs to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cryoprior.io import Measurements, ParticleStack, read_measurements, read_particles
from cryoprior.measurement import command as measure
from kit.stacks import N, write_particles


@pytest.fixture
def stack(tmp_path: Path) -> ParticleStack:
    return read_particles(write_particles(tmp_path)[0])


@pytest.fixture(params=["float32", "float16"])
def measurements(stack: ParticleStack, request: pytest.FixtureRequest) -> Measurements:
    y = stack.path.parent / "y.zarr"
    options = {"operator": "pixel:block=4,masks=6,sets=3", "dtype": request.param}
    measure.run(measure.Options(particles=stack.path, output=y, **options))
    return read_measurements(y)


KEYS = [3, -1, slice(None, 4), slice(None, None, -2), [1, 5], [5, 1, 1], np.arange(N) % 2 == 0, []]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_stack_holds_the_particles_that_are_chosen(stack: ParticleStack, key: Any) -> None:
    rows = np.atleast_1d(np.arange(N)[key])
    part = stack[key]
    assert len(part) == part.n == len(rows)
    np.testing.assert_array_equal(part.index, rows)
    np.testing.assert_array_equal(part.read(), stack.read()[rows])
    np.testing.assert_array_equal(part.pixel_size, stack.pixel_size[rows])
    assert part.table["rlnImageName"].tolist() == stack.table["rlnImageName"].iloc[rows].tolist()
    assert part.resized(8).read().shape == (len(rows), 8, 8)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_measurements_are_those_of_the_particles_that_are_chosen(measurements: Measurements, key: Any) -> None:
    rows = np.atleast_1d(np.arange(N)[key])
    part = measurements[key]
    assert len(part) == part.n == len(rows)
    np.testing.assert_array_equal(part.y(), measurements.y()[rows])
    np.testing.assert_array_equal(part.particle_index, measurements.particle_index[rows])
    np.testing.assert_array_equal(part.pixel_size, measurements.pixel_size[rows])
    if len(rows):
        np.testing.assert_array_equal(part[-1:].y([0]), measurements.y([int(rows[-1])]))
    assert measurements.n == N


@pytest.mark.parametrize("key", [N, -N - 1, [0, N], np.ones(N - 1, bool), np.array([0.5])])
def test_what_is_not_there_is_an_index_error(stack: ParticleStack, measurements: Measurements, key: Any) -> None:
    for sequence in (stack, measurements):
        with pytest.raises(IndexError):
            sequence[key]


def test_they_are_iterated_particle_by_particle(stack: ParticleStack) -> None:
    assert [int(particle.index[0]) for particle in stack] == list(range(N))
