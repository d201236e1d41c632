"""Measured particles come in the prior's grey scale, each once an epoch, and only where the masks vary enough."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.io import MeasurementHeader, Measurements, MeasurementsWriter, read_measurements
from cryoprior.operators import format_operator, parse_operator
from cryoprior.prior.signal import Spectra
from cryoprior.random import numpy_stream
from cryoprior.training.data import drawn_rows
from cryoprior.training.draws import BatchDraws
from cryoprior.training.measured import (
    MeasuredBatch,
    MeasuredStack,
    TrainingMeasurements,
    check_coverage,
    measured_split,
)

BOX, N, SIGMA = 16, 20, 0.6
FOURIER = "fourier:compression=2,sets=5"
HADAMARD = "pixel:block=4,masks=8,sets=5"
NUMBERS = numpy_stream(0, "numbers").permutation(40)[:N]  # the particles' places in the file that was measured


def images() -> torch.Tensor:
    return torch.randn(N, BOX, BOX, generator=torch.Generator().manual_seed(1))


def write(folder: Path, text: str, x: torch.Tensor) -> Measurements:
    operator = parse_operator(text, box=BOX, seed=2)
    header = MeasurementHeader(
        operator.m, BOX, format_operator(operator), operator.digest(), SIGMA, 0, "p.star", "digest", None
    )
    table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@p.mrcs" for i in range(N)], "rlnOpticsGroup": 1})
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [4.0], "rlnImageSize": [BOX]})
    with MeasurementsWriter(folder / "y.zarr", header, table, optics, NUMBERS) as writer:
        writer.write(operator.forward(x, NUMBERS.tolist()).numpy())
    return read_measurements(folder / "y.zarr")


def stack(folder: Path, text: str = FOURIER, offset: float = 7.0, scale: float = -3.0) -> MeasuredStack:
    """Return measurements of offset + scale x with x of :func:`images`; rows 16 to 19 are held out."""
    measurements = write(folder, text, offset + scale * images())
    flat = Spectra((1.0,) * 12, (0.0,) * 12)
    operator = parse_operator(measurements.operator_spec, box=BOX)
    return MeasuredStack(measurements, operator, offset, scale, flat, np.arange(16), np.arange(16, N))


def test_a_batch_is_split_and_moved_with_its_particles() -> None:
    batch = MeasuredBatch(torch.arange(10.0).reshape(5, 2), [4, 0, 9, 2, 3])
    parts = batch.split(2)
    assert [len(part) for part in parts] == [2, 2, 1]
    assert [part.particles for part in parts] == [[4, 0], [9, 2], [3]]
    assert torch.equal(torch.cat([part.y for part in parts]), batch.y)
    moved = batch.to(torch.device("meta"))
    assert moved.y.device.type == "meta"
    assert moved.particles == batch.particles


@pytest.mark.parametrize("scale", [3.0, -3.0])
@pytest.mark.parametrize("text", [FOURIER, HADAMARD])
def test_a_batch_is_in_the_grey_scale_of_the_prior(tmp_path: Path, text: str, scale: float) -> None:
    made = stack(tmp_path, text, scale=scale)
    rows = np.array([3, 19, 0])
    batch = made.batch(rows)
    assert batch.particles == NUMBERS[rows].tolist()
    expected = made.operator.forward(images()[rows], batch.particles)
    torch.testing.assert_close(batch.y, expected, rtol=1e-4, atol=1e-4)
    assert made.sigma == pytest.approx(SIGMA / 3)
    assert (made.digest, made.has_clean, made.path) == ("digest", False, tmp_path / "y.zarr")
    assert made.index.tolist() == NUMBERS.tolist()
    assert made.pixel_size.tolist() == [4.0] * N


def seen(particles: TrainingMeasurements, start: int, size: int) -> list[int]:
    return particles.augmented(start, size, BatchDraws(0, "test", 0)).particles


def test_every_particle_is_seen_once_an_epoch_in_an_order_of_the_seed(tmp_path: Path) -> None:
    source = stack(tmp_path)
    particles, again, other = (TrainingMeasurements(source, seed) for seed in (0, 0, 1))
    n = len(particles)
    assert (n, particles.box, list(particles.stacks)) == (16, BOX, [source])
    epochs = [seen(particles, epoch * n, n) for epoch in (0, 1)]
    trained = sorted(NUMBERS[:16].tolist())
    assert [sorted(epoch) for epoch in epochs] == [trained, trained]
    assert epochs[0] != epochs[1]
    assert seen(again, 0, n) == epochs[0] != seen(other, 0, n)
    assert seen(again, 10, 5) + seen(again, 15, 12) == (epochs[0] + epochs[1])[10:27]  # whatever the batches are
    assert seen(again, 4, 3) == epochs[0][4:7]  # and in whatever order they come


def test_what_is_held_out_is_shown_in_validation_alone(tmp_path: Path) -> None:
    particles = TrainingMeasurements(stack(tmp_path), 0)
    for limit, expected in ((3, 3), (100, 4)):
        held, noise = particles.validation(limit)
        assert held.particles == NUMBERS[drawn_rows(np.arange(16, 20), expected, 0)].tolist()
        assert noise.shape == (expected, BOX, BOX // 2 + 1)
        assert not noise.any()


def test_the_split_is_complete_and_seeded(tmp_path: Path) -> None:
    measurements = write(tmp_path, FOURIER, images())
    splits = [measured_split(measurements, 0.25, seed) for seed in (0, 0, 1)]
    for train, held in splits:
        assert len(held) == 5
        assert sorted([*train, *held]) == list(range(N))
    assert splits[0][1].tolist() == splits[1][1].tolist() != splits[2][1].tolist()
    assert len(measured_split(measurements, 0.0, 0)[1]) == 1
    with pytest.raises(InputError, match=r"y\.zarr: 20 particles; expected at least 21 to train and validate"):
        measured_split(measurements, 1.0, 0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(tmp_path: Path, bad: float) -> None:
    made = stack(tmp_path)
    y = np.array(made.measurements.y(slice(None)))
    y[2, 5] = bad
    broken = replace(made, measurements=Replaced(made.measurements.path, y))
    assert len(broken.batch(np.array([0, 1, 3]))) == 3
    with pytest.raises(InputError, match=r"y\.zarr: measurements that are not finite; .*leave these particles out"):
        broken.batch(np.array([1, 2]))


class Replaced(Measurements):
    """The same file with other numbers in it."""

    def __init__(self, path: Path, numbers: np.ndarray) -> None:
        super().__init__(path)
        self.numbers = numbers

    def y(self, indices: np.ndarray) -> np.ndarray:
        return self.numbers[indices]


@pytest.mark.parametrize(
    "text",
    [
        "fourier:compression=2,sets=64",
        "fourier:compression=2,sets=64,symmetry=published",
        "pixel:block=8,masks=32,sets=64",
        "pixel:block=4,masks=4,sets=64",
        "fourier:compression=1,sets=1",
        "pixel:block=8,masks=64,sets=1",
    ],
)
def test_masks_that_vary_or_measure_all_cover_an_image(text: str) -> None:
    check_coverage(Path("y.zarr"), parse_operator(text, box=BOX, seed=0))


@pytest.mark.parametrize(
    ("text", "unseen"),
    [
        ("fourier:compression=2,sets=1", "1 mask set leaves (4[5-9]|5[0-5])%"),
        ("pixel:block=8,masks=32,sets=1", "1 mask set leaves (4[5-9]|5[0-5])%"),
        ("fourier:compression=4,sets=2", "2 mask sets leave (5[0-9]|6[0-2])%"),
        ("pixel:block=8,masks=16,sets=2", "2 mask sets leave (5[0-9]|6[0-2])%"),
        ("fourier:compression=4,pattern=spoke,sets=1", "1 mask set leaves 7[0-9]%"),
    ],
)
def test_masks_that_leave_directions_unseen_are_refused(text: str, unseen: str) -> None:
    remedy = rf"measure with more sets, for example {text.partition(':')[0]}:\.\.\.,sets=64, or train on full images"
    with pytest.raises(InputError, match=rf"y\.zarr: {unseen} of an image unseen in every one of them.*{remedy}"):
        check_coverage(Path("y.zarr"), parse_operator(text, box=BOX, seed=0))


def test_a_direction_that_no_set_shows_is_noticed_however_many_there_are() -> None:
    alike = parse_operator("crop:size=12,sets=16", box=BOX)
    with pytest.raises(InputError, match=r"16 mask sets leave 5[0-9]% of an image unseen"):
        check_coverage(Path("y.zarr"), alike)
