"""Measurements are opened with the operator that made them, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.io import read_particles
from cryoprior.measurement import command as measure
from cryoprior.measurement.reading import open_measurements
from kit.sealed import change_header
from kit.stacks import N, write_particles


@pytest.fixture
def y(tmp_path: Path) -> Path:
    particles, _, _ = write_particles(tmp_path)
    measure.run(measure.Options(particles=particles, output=tmp_path / "y.zarr", operator="pixel:block=4,masks=6"))
    return tmp_path / "y.zarr"


def test_the_operator_is_the_one_that_measured(y: Path) -> None:
    measurements, operator = open_measurements(y)
    images = torch.from_numpy(read_particles(y.parent / "particles.star").read(slice(None)))
    torch.testing.assert_close(torch.from_numpy(measurements.y(slice(None))), operator.forward(images, range(N)))


def test_an_operator_that_has_changed_is_refused(y: Path) -> None:
    change_header(y, digest="0" * 64)
    with pytest.raises(InputError, match=r"measured with operator digest 000000000000, .*the operator has changed"):
        open_measurements(y)
