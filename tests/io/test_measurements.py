from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from cryoprior.errors import InputError
from cryoprior.io import Baseline, MeasurementHeader, MeasurementsWriter, read_measurements
from kit.sealed import reseal
from kit.stacks import BOX, N, draw_optics, draw_table

M = 40


def header(m: int = M) -> MeasurementHeader:
    return MeasurementHeader(
        m=m,
        box=BOX,
        operator="pixel:box=16,block=8,masks=10",
        digest="0123456789abcdef",
        sigma=0.3,
        seed=4,
        source="particles.star",
        particles_digest="fedc",
        resize={"original_box": 32, "box": BOX, "method": "fourier"},
    )


def write(path: Path, y: np.ndarray, *, n: int | None = None, **options: object) -> Path:
    n = len(y) if n is None else n
    table = draw_table(n)
    with MeasurementsWriter(path, header(y.shape[1]), table, draw_optics(), np.arange(n) + 10, **options) as writer:
        writer.write(y[:3])
        writer.write(y[3:])
    return path


@pytest.fixture
def y() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N, M)).astype(np.float32)


def test_what_is_written_is_read(tmp_path: Path, y: np.ndarray) -> None:
    measured = read_measurements(write(tmp_path / "y.zarr", y))
    np.testing.assert_array_equal(measured.y(slice(None)), y)
    np.testing.assert_array_equal(measured.y([5, 0, 0]), y[[5, 0, 0]])
    np.testing.assert_array_equal(measured.particle_index, np.arange(N) + 10)
    assert measured.header == header()
    assert (measured.n, measured.m, measured.box, measured.sigma, measured.rounding) == (N, M, BOX, 0.3, 0)
    np.testing.assert_array_equal(measured.pixel_size, np.where(np.arange(N) % 2, 1.25, 1.5))
    pd.testing.assert_frame_equal(measured.particles[0], draw_table(), check_dtype=False, check_exact=True)
    assert [p.name for p in tmp_path.iterdir()] == ["y.zarr"]


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e5])
def test_float16_keeps_its_rounding_in_sigma(tmp_path: Path, y: np.ndarray, scale: float) -> None:
    measured = read_measurements(write(tmp_path / "y.zarr", y * scale, dtype="float16"))
    error = (measured.y(slice(None)) - y * scale).std()
    assert 0 < error < 1e-3 * scale
    assert measured.rounding == pytest.approx(error, rel=0.01)
    assert measured.sigma == pytest.approx(np.hypot(0.3, measured.rounding))
    assert measured.sigma_added == 0.3


def test_float16_removes_block_means(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    weight = rng.integers(400, 600, size=(2, M)).astype(np.float32)
    group = np.repeat(np.arange(4), M // 4).astype(np.int32)
    level = rng.normal(scale=1000, size=(N, 4))
    sets = (np.arange(N) + 10) % 2
    y = (weight[sets] * level[:, group] + rng.normal(size=(N, M))).astype(np.float32)
    exact = read_measurements(write(tmp_path / "a.zarr", y, dtype="float16", baseline=Baseline(group, weight)))
    naive = read_measurements(write(tmp_path / "b.zarr", y, dtype="float16"))
    assert np.abs(exact.y([1, 4]) - y[[1, 4]]).max() < 0.1  # a float32 of 5e5 is rounded by up to .03
    assert naive.rounding > 1000 * exact.rounding


def test_a_changed_operator_is_refused(tmp_path: Path, y: np.ndarray) -> None:
    measured = read_measurements(write(tmp_path / "y.zarr", y))
    measured.check_operator("0123456789abcdef")
    with pytest.raises(
        InputError, match=r"measured with operator digest 0123456789ab, found aaaa for pixel:.*measure ag"
    ):
        measured.check_operator("aaaa")


def test_rows_that_do_not_match_are_no_measurements(tmp_path: Path, y: np.ndarray) -> None:
    with pytest.raises(ValueError, match="7 rows written; opened for 8"):
        write(tmp_path / "more.zarr", y, n=8)
    with pytest.raises(ValueError, match=r"after 3; opened for \(6, 40\)"):
        write(tmp_path / "fewer.zarr", y, n=6)
    for name in ("more", "fewer"):
        with pytest.raises(InputError, match=r"no zarr.json in it; expected measurements"):
            read_measurements(tmp_path / f"{name}.zarr")
    with pytest.raises(InputError, match=r"dtype 'int8': expected one of float32, float16"):
        write(tmp_path / "y.zarr", y, dtype="int8")


def test_damaged_folders_are_refused(tmp_path: Path, y: np.ndarray) -> None:
    path = write(tmp_path / "y.zarr", y)
    with pytest.raises(InputError, match=r"no such folder; expected measurements"):
        read_measurements(tmp_path / "no.zarr")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no zarr.json in it; expected measurements"):
        read_measurements(tmp_path / "empty")
    with pytest.raises(InputError, match=r"particle 7 asked for; expected 0 to 6"):
        read_measurements(path).y([7])
    zarr.open_group(path).attrs["version"] = 99
    with pytest.raises(InputError, match=r"version 99; expected 3; update cryoprior"):
        read_measurements(path)
    zarr.open_group(path).attrs["format"] = "something"
    with pytest.raises(InputError, match=r"no measurements: format 'something'; expected 'cryoprior measurements'"):
        read_measurements(path)
    shutil.rmtree(path)
    write(path, y)
    shutil.rmtree(path / "y")
    (path / "particles.star").unlink()
    with pytest.raises(InputError, match=r"without y, particles.star; the folder is damaged; measure again"):
        read_measurements(path)
    (path / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "array"}))
    with pytest.raises(InputError, match=r"not a zarr 3 group"):
        read_measurements(path)


def test_rows_and_particles_must_agree(tmp_path: Path, y: np.ndarray) -> None:
    from cryoprior.io import write_star

    path = write(tmp_path / "y.zarr", y)
    write_star(path / "particles.star", draw_table(N - 1), draw_optics())
    reseal(path)
    with pytest.raises(InputError, match=r"y of \(7, 40\) and 6 particles; expected 7 rows of 40; .*measure again"):
        read_measurements(path)
