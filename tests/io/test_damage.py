"""measurements.zarr: every kind of damage is refused by name, before memory is taken; the older layout is read."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from cryoprior.errors import InputError
from cryoprior.io import Baseline, MeasurementHeader, MeasurementsWriter, read_measurements, write_star
from cryoprior.io.seals import SEAL
from kit.sealed import change_header, change_json, reseal
from kit.stacks import draw_optics, draw_table

N, M, BOX = 520, 40, 16
HALF = ("scale", "baseline_level", "baseline_weight", "baseline_group")


def write(path: Path, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(N, M)).astype(np.float32)
    operator = "pixel:box=16,block=8,masks=10"
    header = MeasurementHeader(M, BOX, operator, "0123", 0.3, 4, "particles.star", "fedc")
    group = np.repeat(np.arange(4), M // 4).astype(np.int32)
    baseline = Baseline(group, rng.uniform(1, 2, size=(2, M)).astype(np.float32))
    images = rng.integers(0, 2**64, size=(N, 1), dtype=np.uint64)
    numbers, table = np.arange(N) + 3, draw_table(N)[["rlnImageName", "rlnOpticsGroup"]]
    with MeasurementsWriter(
        path, header, table, draw_optics(), numbers, dtype=dtype, baseline=baseline, digests=1
    ) as writer:
        writer.write(y[:100], images[:100])
        writer.write(y[100:], images[100:])
    return y


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    write(folder / "float32.zarr")
    write(folder / "float16.zarr", "float16")
    return folder


@pytest.fixture
def y_zarr(good: Path, tmp_path: Path) -> Path:
    shutil.copytree(good / "float32.zarr", tmp_path / "y.zarr")
    return tmp_path / "y.zarr"


def read_all(path: Path) -> np.ndarray:
    measured = read_measurements(path)
    measured.image_digests  # noqa: B018
    return measured.y()


def node(name: str, **values: Any) -> Callable[[Path], None]:
    return lambda p: change_json(p / name / "zarr.json", lambda stored: stored.update(values))


def chunk(p: Path, name: str, index: int = 0) -> Path:
    return p / name / "c" / str(index) if (p / name / "c" / str(index)).is_file() else p / name / "c" / str(index) / "0"


def rewrite(name: str, change: Callable[[bytes], bytes], index: int = 0) -> Callable[[Path], None]:
    def mutate(p: Path) -> None:
        path = chunk(p, name, index)
        path.write_bytes(change(path.read_bytes()))

    return mutate


def replaced_by(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def mutate(p: Path) -> None:
        path = chunk(p, name)
        path.unlink()
        make(path)

    return mutate


def grid(rows: int) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": [rows, M]}}


DAMAGE: dict[str, Callable[[Path], object]] = {
    "y: a chunk removed": lambda p: chunk(p, "y", 1).unlink(),
    "y: the last chunk removed": lambda p: shutil.rmtree(p / "y" / "c" / "2"),
    "y: all chunks removed": lambda p: shutil.rmtree(p / "y" / "c"),
    "y: chunk emptied": rewrite("y", lambda _: b""),
    "y: chunk cut by 4 bytes": rewrite("y", lambda b: b[:-4]),
    "y: chunk longer": rewrite("y", lambda b: b + bytes(64)),
    "y: chunk all zero": rewrite("y", lambda b: bytes(len(b)), 2),
    "y: chunk of random bytes": rewrite("y", lambda b: np.random.default_rng(9).bytes(len(b)), 1),
    "y: one bit": rewrite("y", lambda b: b[:999] + bytes([b[999] ^ 1]) + b[1000:]),
    "y: chunk a directory": replaced_by("y", lambda path: path.mkdir()),
    "y: chunk a device": replaced_by("y", lambda path: path.symlink_to("/dev/zero")),
    "y: chunk a FIFO": replaced_by("y", os.mkfifo),
    "y: chunks swapped": lambda p: (
        shutil.move(chunk(p, "y"), p / "t"),
        shutil.move(chunk(p, "y", 1), chunk(p, "y")),
        shutil.move(p / "t", p / "y/c/1/0"),
    ),
    "y: no metadata": lambda p: (p / "y" / "zarr.json").unlink(),
    "y: a group": lambda p: (p / "y" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}'),
    "y: metadata nested": lambda p: (p / "y" / "zarr.json").write_text("[" * 100_000),
    "y: shape longer": node("y", shape=[2 * N, M]),
    "y: shape 1e12": node("y", shape=[10**12, 10**12]),
    "y: chunks of 1e12": node("y", shape=[10**12, M], chunk_grid=grid(10**12)),
    "y: chunk shape 1": node("y", chunk_grid=grid(1)),
    "y: chunk shape 0": node("y", chunk_grid=grid(0)),
    "y: float64": node("y", data_type="float64"),
    "y: big endian": node("y", codecs=[{"name": "bytes", "configuration": {"endian": "big"}}]),
    "y: gzip": node("y", codecs=[{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "gzip"}]),
    "y: other keys": node("y", chunk_key_encoding={"name": "v2", "configuration": {"separator": "/"}}),
    "particle_index: a number": rewrite("particle_index", lambda b: b"\x07" + b[1:]),
    "image_digest: a number": rewrite("image_digest", lambda b: b"\x07" + b[1:]),
    "image_digest: gone": lambda p: shutil.rmtree(p / "image_digest" / "c"),
    "particles.star: a digit": lambda p: (p / "particles.star").write_text(
        (p / "particles.star").read_text().replace("000001@", "000002@", 1)
    ),
    "particles.star: a device": lambda p: (
        (p / "particles.star").unlink(),
        (p / "particles.star").symlink_to("/dev/zero"),
    ),
    "group: sigma": lambda p: change_json(p / "zarr.json", lambda stored: stored["attributes"].update(sigma=0.4)),
    "digests: gone": lambda p: (p / SEAL).unlink(),
    "digests: nested": lambda p: (p / SEAL).write_text('{"sha256":' * 100_000),
    "digests: cut": lambda p: (p / SEAL).write_bytes((p / SEAL).read_bytes()[:-30]),
    "digests: none of y": lambda p: change_json(p / SEAL, lambda stored: stored["sha256"].pop("y/c/1/0")),
}
for _name in HALF:
    DAMAGE[f"16 {_name}: a bit"] = rewrite(_name, lambda b: bytes([b[0] ^ 1]) + b[1:])
    DAMAGE[f"16 {_name}: a chunk removed"] = lambda p, name=_name: chunk(p, name).unlink()


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused_by_name(good: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "y.zarr"
    shutil.copytree(good / ("float16.zarr" if name.startswith("16 ") else "float32.zarr"), path)
    DAMAGE[name](path)
    with pytest.raises(InputError, match="damaged"):
        read_all(path)


WRONG: list[tuple[str, Any]] = [
    *[("n", value) for value in ("520", 520.0, -1, None, 10**12, N - 1, [N])],
    *[("m", value) for value in ("40", 0, M - 1, None)],
    *[("box", value) for value in (0, -16, "16", None, 32.5)],
    *[("dtype", value) for value in ("float16", "complex", None)],
    *[("operator", value) for value in ("", 5, None)],
    *[("sigma", value) for value in (-1.0, "x", None, float("nan"), float("inf"), True)],
    *[("rounding", value) for value in (-1.0, "x", None, float("nan"))],
    *[("seed", value) for value in ("x", None, 1.5)],
    *[("digest", value) for value in (None, 5)],
    *[("resize", value) for value in ("x", {}, {"original_box": "a", "box": 1, "method": "zoom"})],
    ("intensity", {"scale": float("nan")}),
    ("source", None),
    ("particles_digest", None),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_header_that_cannot_be_is_refused_even_where_its_digest_is_right(
    y_zarr: Path, name: str, value: object
) -> None:
    change_header(y_zarr, **{name: value})
    with pytest.raises(InputError, match=r"y\.zarr.*damaged"):
        read_all(y_zarr)


def test_an_index_that_no_stack_has_is_refused(y_zarr: Path) -> None:
    for numbers, text in ((np.zeros(N), "names particle 0 twice"), (np.arange(N) - 5, "particle_index -5 to 514")):
        chunk(y_zarr, "particle_index").write_bytes(numbers.astype("<i8").tobytes())
        reseal(y_zarr)
        with pytest.raises(InputError, match=text):
            read_measurements(y_zarr)


def test_numbers_that_are_not_finite_name_their_particle(y_zarr: Path) -> None:
    zarr.open_group(y_zarr)["y"][300, 2] = np.inf
    reseal(y_zarr)
    measured = read_measurements(y_zarr)
    measured.y(slice(0, 300))
    with pytest.raises(
        InputError, match=r"row 300 holds values that are not finite \(particle 304 of particles.star\)"
    ):
        measured.y()


@pytest.mark.parametrize("column", ["rlnAngleRot", "rlnOriginXAngst"])
def test_a_pose_that_is_not_finite_is_refused(y_zarr: Path, column: str) -> None:
    table = draw_table(N)
    table.loc[7, column] = np.inf
    write_star(y_zarr / "particles.star", table, draw_optics())
    reseal(y_zarr)
    with pytest.raises(InputError, match=r"particles.star: row 8 has an angle or an origin that is not finite"):
        read_measurements(y_zarr).poses()


def test_a_chunk_is_checked_once_in_a_process(y_zarr: Path) -> None:
    measured = read_measurements(y_zarr)
    before = measured.y([5, 290])
    rewrite("y", lambda b: bytes(len(b)))(y_zarr)
    np.testing.assert_array_equal(measured.y([290]), before[1:])
    assert not measured.y([5]).any()  # known to have been right when it was first read
    with pytest.raises(InputError, match="y/c/0/0: damaged: its digest"):
        read_measurements(y_zarr).y([5])


def test_zarr_reads_what_is_written(good: Path) -> None:
    group = zarr.open_group(good / "float32.zarr", mode="r")
    np.testing.assert_array_equal(group["y"][:], read_measurements(good / "float32.zarr").y())
    np.testing.assert_array_equal(group["particle_index"][:], np.arange(N) + 3)
    assert group["image_digest"].shape == (N, 1)
    assert group.attrs["sigma"] == 0.3


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_older_layout_is_read_with_one_warning(
    good: Path, tmp_path: Path, dtype: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Version 1 was written by zarr itself, without digests, and left chunks of zeros out."""
    new, path = good / f"{dtype}.zarr", tmp_path / "old.zarr"
    fresh = zarr.open_group(new, mode="r")
    root = zarr.open_group(path, mode="w", zarr_format=3)
    for name in ("y", "particle_index", *(HALF if dtype == "float16" else ())):
        values = fresh[name][:]
        values = np.zeros_like(values) if name == "baseline_weight" else values
        rows = {"y": 256, "baseline_weight": 1, "baseline_level": 256}.get(name, len(values))
        stored = root.create_array(
            name, shape=values.shape, chunks=(rows, *values.shape[1:]), dtype=values.dtype, compressors=None
        )
        stored[:] = values
    root.attrs.update({**fresh.attrs, "version": 1})
    shutil.copy(new / "particles.star", path)
    with caplog.at_level(logging.WARNING, "cryoprior"):
        old = read_measurements(path)
        numbers = old.y()
    assert [r.getMessage() for r in caplog.records if "without digests" in r.getMessage()] == [
        f"{path}: measured by an older version, without digests: damage to it cannot be seen"
    ]
    assert old.image_digests is None
    if dtype == "float32":
        np.testing.assert_array_equal(numbers, read_measurements(new).y())
        (path / "y/c/1/0").unlink()
        with pytest.raises(InputError, match=r"y/c/1/0: this chunk is not there"):
            read_measurements(path)
    else:
        stored = fresh["y"][:].astype(np.float32) * fresh["scale"][:][:, None]
        np.testing.assert_array_equal(numbers, stored)  # its weights are zeros: nothing was removed


def test_a_seal_knows_every_file(good: Path) -> None:
    for name in ("float32.zarr", "float16.zarr"):
        known = json.loads((good / name / SEAL).read_text())["sha256"]
        there = {p.relative_to(good / name).as_posix() for p in (good / name).rglob("*") if p.is_file()}
        assert there - {SEAL} == set(known)
