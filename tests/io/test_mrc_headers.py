"""What an MRC header says of voxels, axes, bytes and cells is honoured, or refused by name."""

from __future__ import annotations

import gzip
import logging
import resource
from pathlib import Path

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.external.modelangelo_files import link_map
from cryoprior.io import read_map, write_map
from cryoprior.io.mrc import IMOD_STAMP, read_header
from cryoprior.io.mrc_volumes import is_map, read_map_header
from cryoprior.io.stored_images import read_images
from cryoprior.io.volumes import read_density, read_volume, warn_of_placement
from kit.mrc_files import mrc_bytes

D, VOXEL = 8, 3.0
VOLUME = np.random.default_rng(0).normal(size=(D, D, D)).astype(np.float32)
NSYMBT, MACHINE, STAMP, FLAGS, ORIGIN = 23, 53, 38, 39, (49, 50, 51)


def written(path: Path, data: np.ndarray = VOLUME, **header: object) -> Path:
    header.setdefault("voxel", VOXEL)
    path.write_bytes(mrc_bytes(data, **header))  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("name", ["a.mrc.gz", "a.map.gz", "a.ccp4.gz", "A.MRC.GZ"])
def test_a_compressed_map_is_the_plain_one(tmp_path: Path, name: str) -> None:
    plain = mrc_bytes(VOLUME, voxel=VOXEL, extended=80) + b"more than the header promises"
    (tmp_path / name).write_bytes(gzip.compress(plain))
    np.testing.assert_array_equal(read_map(tmp_path / name)[0], VOLUME)
    np.testing.assert_array_equal(read_volume(tmp_path / name, D, VOXEL), VOLUME)
    assert is_map(tmp_path / name)
    assert not is_map(tmp_path / "a.cif.gz")


@pytest.mark.parametrize("name", ["a.map", "a.ccp4", "a.MRC"])
def test_other_endings_are_maps(tmp_path: Path, name: str) -> None:
    np.testing.assert_array_equal(read_density(written(tmp_path / name))[0], VOLUME)


def test_damaged_compression_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(mrc_bytes(VOLUME, voxel=VOXEL))
    for content in (whole[: len(whole) // 2], whole[:1400] + b"\0" * 40 + whole[1440:], b"not gzip" * 300):
        (tmp_path / "a.mrc.gz").write_bytes(content)
        with pytest.raises(InputError, match=r"a\.mrc\.gz: (damaged gzip|cannot be read|truncated)"):
            read_map(tmp_path / "a.mrc.gz")
    (tmp_path / "short.mrc.gz").write_bytes(gzip.compress(mrc_bytes(VOLUME, voxel=VOXEL)[:-8]))
    with pytest.raises(InputError, match=r"truncated: 3064 bytes found, 3072 expected for 8 images"):
        read_map(tmp_path / "short.mrc.gz")


def test_a_small_file_that_promises_much_takes_no_memory(tmp_path: Path) -> None:
    head = bytearray(mrc_bytes(VOLUME, voxel=VOXEL)[:1024])
    head[:12] = np.array([1500, 1500, 1500], "<i4").tobytes()  # 13.5 GB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for ending, content in (("gz", gzip.compress(bytes(head) + bytes(1 << 20))), ("mrc", bytes(head))):
        (tmp_path / f"a.mrc.{ending}").write_bytes(content)
        with pytest.raises(InputError, match=r"gzip cannot hold|truncated"):
            read_density(tmp_path / f"a.mrc.{ending}")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


def test_no_stack_is_read_from_compressed_files(tmp_path: Path) -> None:
    (tmp_path / "a.mrcs.gz").write_bytes(gzip.compress(mrc_bytes(VOLUME)))
    with pytest.raises(InputError, match=r"a\.mrcs\.gz: compressed; expected a plain MRC stack.*decompress it first"):
        read_header(tmp_path / "a.mrcs.gz")
    with pytest.raises(InputError, match=r"compressed as \.bz2; expected a plain map or one by gzip"):
        read_map(tmp_path / "a.mrc.bz2")


def test_voxels_that_differ_by_axis_are_refused_with_their_sizes(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mrc", voxel=(3.0, 3.0, 3.01))
    with pytest.raises(InputError, match=r"voxels of 3\.0000 x 3\.0000 x 3\.0100 A \(x, y, z\); expected one size"):
        read_map(path)
    assert read_map(written(tmp_path / "b.mrc", voxel=(3.0, 3.0, 3.002)))[1] == 3.0
    assert read_header(written(tmp_path / "c.mrcs", voxel=(3.0, 3.1, 1.0))).voxel_size == 0  # it says two things


@pytest.mark.parametrize("size", [np.nan, np.inf, -256.0])
def test_cells_that_are_no_lengths_are_refused(tmp_path: Path, size: float) -> None:
    with pytest.raises(InputError, match=r"expected (numbers|lengths); correct the header"):
        read_map(written(tmp_path / "a.mrc", reals=dict.fromkeys((10, 11, 12), size)))


def test_a_cell_that_is_not_rectangular_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a cell with angles of 90, 90, 120 degrees; expected 90"):
        read_map(written(tmp_path / "a.mrc", reals={15: 120.0}))
    assert read_map(written(tmp_path / "b.mrc", reals={13: 0.0, 14: 0.0, 15: 0.0}))[1] == VOXEL


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("flags", "unsigned"), [(0, True), (1, False), (2, True), (3, False)])
def test_bytes_are_signed_unless_imod_says_otherwise(tmp_path: Path, order: str, flags: int, unsigned: bool) -> None:
    data = np.arange(-128, 128, dtype=np.int16).astype(np.int8).reshape(1, 16, 16)
    plain = written(tmp_path / "plain.mrcs", data, order=order)
    np.testing.assert_array_equal(read_images(read_header(plain)), data)
    marked = written(tmp_path / "imod.mrcs", data, order=order, words={STAMP: IMOD_STAMP, FLAGS: flags})
    np.testing.assert_array_equal(read_images(read_header(marked)), data.view(np.uint8) if unsigned else data)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({3: 101}, r"mode 101 \(4-bit packed\); expected one of 0, 1, 2, 6, 12"),
        ({3: 0, STAMP: IMOD_STAMP, FLAGS: 16}, r"mode 0 \(4-bit packed\)"),
        ({3: 3}, r"mode 3 \(complex of two int16\)"),
        ({3: 77}, r"mode 77; expected one of 0"),
        ({2: 9}, r"truncated: 3072 bytes found, 3328 expected for 9 images"),
        ({NSYMBT: 500}, r"truncated"),
        ({2: 7}, r"3072 bytes found, 2816 expected for 7 images of 8 x 8 in float32; the header does not fit the file"),
        ({3: 0}, r"3072 bytes found, 1536 expected .* in int8; the header does not fit the file"),
        ({NSYMBT: -1}, r"is it an MRC file\?"),
        ({0: 0}, r"is it an MRC file\?"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, words: dict[int, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_map(written(tmp_path / "a.mrc", words=words))


def test_wrong_statistics_and_a_wrong_machine_stamp_change_nothing(tmp_path: Path) -> None:
    wrong = {19: 1e30, 20: -1e30, 21: np.nan, 54: -5.0}
    path = written(tmp_path / "a.mrc", words={MACHINE: 0x1111}, reals=wrong)
    np.testing.assert_array_equal(read_density(path)[0], VOLUME)
    np.testing.assert_array_equal(
        read_density(written(tmp_path / "b.mrc", order=">", words={MACHINE: 0x44}))[0], VOLUME
    )


def test_maps_that_lie_elsewhere_are_compared_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    here = written(tmp_path / "a.mrc")
    started = written(tmp_path / "b.mrc", words={4: -4, 5: -4, 6: -4})
    moved = written(tmp_path / "c.mrc", reals=dict.fromkeys(ORIGIN, -12.0))
    with caplog.at_level(logging.WARNING, "cryoprior"):
        warn_of_placement(here, here, None)
        warn_of_placement(started, moved)
        assert not caplog.records
        warn_of_placement(here, started)
    assert "b.mrc: its header puts the first voxel at -12, -12, -12 A, that of" in caplog.text


def test_other_programs_get_the_voxels_that_are_read_here(tmp_path: Path) -> None:
    write_map(tmp_path / "plain.mrc", VOLUME, VOXEL)
    assert link_map(tmp_path / "plain.mrc", tmp_path, "a").is_symlink()
    turned = written(tmp_path / "turned.mrc", np.transpose(VOLUME), axes=(3, 2, 1))
    link = link_map(turned, tmp_path, "b")
    assert read_map_header(link).plain
    np.testing.assert_array_equal(read_map(link)[0], VOLUME)
    away = written(tmp_path / "away.mrc", np.transpose(VOLUME), axes=(3, 2, 1), reals=dict.fromkeys(ORIGIN, 5.0))
    with pytest.raises(InputError, match=r"first voxel lies at 5, 5, 5 A; expected 0, 0, 0; write it as a plain map"):
        link_map(away, tmp_path, "c")
