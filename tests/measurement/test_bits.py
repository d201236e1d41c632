"""Measurements of a few bits on disk: as small as they say, read as they were rounded, else refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cryoprior
from cryoprior.errors import InputError
from cryoprior.housekeeping import validate
from cryoprior.io import read_measurements, read_particles
from cryoprior.measurement import command as measure
from cryoprior.measurement import open_measurements
from cryoprior.operators import Fourier
from kit.sealed import change_header, change_json, reseal
from kit.stacks import BOX, N, write_particles

SPECS = (
    "quantize:bits=1",
    "quantize:bits=3",
    "pixel:block=4,masks=6,sets=3,bits=2",
    "fourier:compression=3,sets=2,bits=5",
)


def measured(folder: Path, operator: str = "quantize:bits=1", **options: Any) -> Path:
    particles, _, _ = write_particles(folder)
    y = folder / "y.zarr"
    measure.run(measure.Options(particles=particles, output=y, operator=operator, seed=5, **options))
    return y


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_a_bit_is_a_bit_on_disk_and_numbers_are_those_of_the_verb(tmp_path: Path, spec: str, sigma: float) -> None:
    y = measured(tmp_path, spec, sigma=sigma)
    found, operator = open_measurements(y)
    chunk = y / "y" / "c" / "0" / "0"
    assert chunk.stat().st_size == N * -(-operator.m * (operator.bits or 0) // 8)
    assert json.loads((y / "summary.json").read_text())["bytes_per_particle"] == operator.bytes_per_particle
    images = read_particles(tmp_path / "particles.star").read(slice(None))
    for x in (images, torch.from_numpy(images)):
        again = cryoprior.measure(x, spec, sigma, seed=5).numpy()
        np.testing.assert_allclose(found.y(), again, rtol=1e-6, atol=1e-6)
    assert cryoprior.fit_levels(images, spec, sigma, seed=5) == operator
    assert found.sigma == pytest.approx(np.hypot(sigma, found.rounding))
    np.testing.assert_array_equal(found[[3, 1]].y(), found.y()[[3, 1]])


@pytest.mark.parametrize(
    ("operator", "dtype", "expected"),
    [
        ("identity", "float32", 4 * BOX**2),
        ("fourier:compression=2,symmetry=published", "float32", None),
        ("quantize:bits=1", "float32", BOX**2 / 8),
        ("quantize:bits=3", "float32", 3 * BOX**2 / 8),
        ("identity", "float16", 2 * BOX**2 + 8),
    ],
)
def test_bytes_are_those_of_the_chunks(tmp_path: Path, operator: str, dtype: str, expected: float | None) -> None:
    path, _, _ = write_particles(tmp_path)
    summary = measure.run(measure.Options(particles=path, output=tmp_path / "y.zarr", operator=operator, dtype=dtype))
    stored = read_measurements(tmp_path / "y.zarr")
    own = [tmp_path / "y.zarr" / name for name in ("y", "scale", "baseline_level")]
    on_disk = sum(
        f.stat().st_size for folder in own if folder.is_dir() for f in (folder / "c").rglob("*") if f.is_file()
    )
    assert stored.bytes_per_particle == summary["bytes_per_particle"]
    assert on_disk == len(stored) * stored.bytes_per_particle  # one chunk, which holds no more than the particles
    if expected is None:  # a published mask stores what either of a conjugate pair asks for: about 3/4 at C = 2
        _, mask = open_measurements(stored.path)
        assert isinstance(mask, Fourier)
        expected = 4 * np.count_nonzero(mask.filter(0))
        assert 0.65 < expected / (4 * BOX**2) < 0.85
    assert stored.bytes_per_particle == expected


def test_what_rounding_did_is_measured(tmp_path: Path) -> None:
    y = measured(tmp_path, "quantize:bits=2")
    images, found = read_particles(tmp_path / "particles.star").read(slice(None)), read_measurements(y)
    error = found.y().reshape(images.shape) - images
    assert found.rounding == pytest.approx(float(np.sqrt((error**2).mean())), rel=1e-5)
    summary = json.loads((y / "summary.json").read_text())
    assert summary["bits"] == 2
    assert summary["rounding_gain"] == pytest.approx(1, abs=0.03)


def test_float16_of_packed_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dtype.* float16 with bits=1: its numbers are packed; leave"):
        measured(tmp_path, dtype="float16")


@pytest.mark.parametrize("bits", [0, 33, 9, None, 1.0, True, "1"])
def test_other_bits_are_refused_by_name(tmp_path: Path, bits: Any) -> None:
    y = measured(tmp_path)
    change_header(y, bits=bits)
    with pytest.raises(InputError, match=r"y.zarr: dtype packed, bits .*; expected 1 to 8 bits of packed numbers"):
        read_measurements(y)


def test_bits_that_the_operator_does_not_have_are_refused(tmp_path: Path) -> None:
    y = measured(tmp_path, "quantize:bits=2")
    change_header(y, bits=1)
    with pytest.raises(InputError, match=r"expected .* in chunks of whole rows|expected uint8 of"):
        read_measurements(y)
    other = (tmp_path / "other").resolve()
    other.mkdir()
    y = measured(other)
    text = json.loads((y / "zarr.json").read_text())["attributes"]["operator"]
    change_header(y, operator=text.replace("bits=1", "bits=2"))
    with pytest.raises(InputError, match="digest"):
        open_measurements(y)


def test_a_version_or_type_that_does_not_go_with_bits_is_refused(tmp_path: Path) -> None:
    y = measured(tmp_path)
    for change in ({"version": 2}, {"dtype": "float32"}):
        change_header(y, **{"version": 3, "dtype": "packed", **change})
        with pytest.raises(InputError, match="expected 1 to 8 bits of packed numbers in version 3"):
            read_measurements(y)


def test_a_packed_array_cut_short_is_refused(tmp_path: Path) -> None:
    y = measured(tmp_path)
    chunk = y / "y" / "c" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    reseal(y)
    with pytest.raises(InputError, match=rf"{N * BOX**2 // 8 - 1} bytes; expected a chunk of {N * BOX**2 // 8} bytes"):
        read_measurements(y)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("level", lambda level: level[::-1], "levels .*; expected 2 numbers, ascending"),
        ("level", lambda level: level * np.nan, "levels .*; expected 2 numbers, ascending"),
        ("level", lambda level: level * 1.5, "levels that do not fit quantize:"),
        ("number_kind", lambda kind: kind + 7, "kind 7 of 1 means and 1 deviations"),
        ("kind_mean", lambda mean: mean + 1, "levels that do not fit quantize:"),
        ("kind_deviation", lambda deviation: -deviation, "no numbers of at least 0"),
        ("kind_deviation", lambda deviation: deviation * 2, "levels that do not fit quantize:"),
    ],
)
def test_levels_that_do_not_fit_are_refused(tmp_path: Path, name: str, change: Any, message: str) -> None:
    y = measured(tmp_path)
    chunk = next(path for path in sorted((y / name / "c").rglob("*")) if path.is_file())
    kind = json.loads((y / name / "zarr.json").read_text())["data_type"]
    values = np.frombuffer(chunk.read_bytes(), kind)
    chunk.write_bytes(np.asarray(change(values), kind).tobytes())
    with pytest.raises(InputError, match="its digest is"):
        open_measurements(y)
    reseal(y)
    with pytest.raises(InputError, match=message):
        open_measurements(y)


def test_validate_reads_packed_measurements(tmp_path: Path) -> None:
    y = measured(tmp_path, "fourier:compression=3,sets=2,bits=3")
    assert validate.run(validate.Options(path=y))["valid"]
    change_json(y / "zarr.json", lambda node: node["attributes"].update(bits=4))
    with pytest.raises(InputError):
        validate.run(validate.Options(path=y))


def test_zarr_reads_the_codes(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    y = measured(tmp_path)
    group = zarr.open_group(str(y), mode="r")
    codes = np.unpackbits(np.asarray(group["y"][:]), axis=1)
    level, kind = np.asarray(group["level"][:]), np.asarray(group["number_kind"][:])
    decoded = np.asarray(group["kind_mean"][:])[kind] + np.asarray(group["kind_deviation"][:])[kind] * level[codes]
    np.testing.assert_array_equal(decoded, read_measurements(y).y())
