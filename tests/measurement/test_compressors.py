"""Compressed measurements: the same numbers, as zarr reads them too; damage is refused before it is used."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.io import read_measurements
from cryoprior.io.compressors import COMPRESSORS
from cryoprior.measurement import command as measure
from kit.sealed import reseal
from kit.stacks import N, write_particles

SPECS = ("identity", "quantize:bits=1", "pixel:block=4,masks=6,sets=3,bits=2")


def measured(folder: Path, name: str, **options: Any) -> Path:
    particles, _, _ = write_particles(folder)
    measure.run(measure.Options(particles=particles, output=folder / name, **options))
    return folder / name


@pytest.mark.parametrize("compressor", COMPRESSORS)
@pytest.mark.parametrize("spec", SPECS)
def test_numbers_are_those_of_an_uncompressed_file(tmp_path: Path, spec: str, compressor: str) -> None:
    plain = read_measurements(measured(tmp_path, "plain.zarr", operator=spec))
    packed = read_measurements(measured(tmp_path, "packed.zarr", operator=spec, compressor=compressor))
    np.testing.assert_array_equal(packed.y(), plain.y())
    np.testing.assert_array_equal(packed.y([5, 0, 3]), plain.y()[[5, 0, 3]])
    chunks = [f for f in (tmp_path / "packed.zarr" / "y" / "c").rglob("*") if f.is_file()]
    assert packed.bytes_per_particle == pytest.approx(sum(f.stat().st_size for f in chunks) / N)


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_float16_is_compressed_too(tmp_path: Path, compressor: str) -> None:
    given = {"operator": "identity", "dtype": "float16"}
    plain = read_measurements(measured(tmp_path, "plain.zarr", **given))
    packed = read_measurements(measured(tmp_path, "packed.zarr", **given, compressor=compressor))
    np.testing.assert_array_equal(packed.y(), plain.y())


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_zarr_reads_them(tmp_path: Path, compressor: str) -> None:
    zarr = pytest.importorskip("zarr")
    y = measured(tmp_path, "y.zarr", operator="identity", compressor=compressor)
    np.testing.assert_array_equal(zarr.open_group(y, mode="r")["y"][:], read_measurements(y).y())


def test_what_the_summary_says_is_on_disk(tmp_path: Path) -> None:
    particles, _, _ = write_particles(tmp_path)
    options = {"particles": particles, "operator": "identity", "compressor": "gzip"}
    summary = measure.run(measure.Options(output=tmp_path / "y.zarr", **options))
    assert summary["bytes_per_particle"] == pytest.approx(read_measurements(tmp_path / "y.zarr").bytes_per_particle)
    assert summary["bytes_per_particle"] != 4 * summary["m"]


@pytest.mark.parametrize("compressor", COMPRESSORS)
@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", gzip.compress(bytes(10), mtime=0), gzip.compress(bytes(10**6), mtime=0)],
    ids=["empty", "nonsense", "too few", "too many"],
)
def test_a_chunk_that_is_none_is_refused(tmp_path: Path, compressor: str, content: bytes) -> None:
    y = measured(tmp_path, "y.zarr", operator="identity", compressor=compressor)
    chunk = next(f for f in (y / "y" / "c").rglob("*") if f.is_file())
    chunk.write_bytes(content)
    with pytest.raises(InputError, match=chunk.parent.name):
        read_measurements(y).y()
    reseal(y)
    with pytest.raises(InputError, match=f"not a chunk compressed by {compressor}"):
        read_measurements(y).y()


def test_an_unknown_compressor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="compressor"):
        measured(tmp_path, "y.zarr", operator="identity", compressor="lzma")
