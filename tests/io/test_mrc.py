from __future__ import annotations

import os
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.io import StackWriter, read_map, read_particles, write_map, write_stack
from cryoprior.io.mrc import HEADER_BYTES, MODES, read_header
from cryoprior.io.stored_images import read_images
from kit.stacks import BOX, N, draw_images


@pytest.mark.parametrize("mode", sorted(MODES))
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_mode_is_read(tmp_path: Path, mode: int, order: str) -> None:
    dtype = np.dtype(order + MODES[mode])
    values = (np.abs(draw_images()) * 20).astype(dtype)
    header = np.zeros(HEADER_BYTES // 4, f"{order}i4")
    header[:4] = (BOX, BOX, N, mode)
    header[7], header[23] = BOX, 64
    header.view(f"{order}f4")[10] = 2 * BOX
    path = tmp_path / "a.mrcs"
    path.write_bytes(header.tobytes() + bytes(64) + values.tobytes())
    stack = read_particles(path)
    assert stack.pixel_size[0] == 2
    np.testing.assert_array_equal(stack.read(slice(None)), values.astype(np.float32))


@pytest.mark.parametrize("float16", [False, True])
def test_what_is_written_is_read(tmp_path: Path, float16: bool) -> None:
    images = draw_images()
    with StackWriter(tmp_path / "a.mrcs", N, BOX, 1.5, float16=float16) as writer:
        writer.write(images[:3])
        assert not (tmp_path / "a.mrcs").exists()
        writer.write(images[3:])
    assert [p.name for p in tmp_path.iterdir()] == ["a.mrcs"]
    assert mrcfile.validate(tmp_path / "a.mrcs")
    expected = images.astype(np.float16).astype(np.float32) if float16 else images
    header = read_header(tmp_path / "a.mrcs")
    np.testing.assert_array_equal(read_images(header), expected)
    assert header.voxel_size == 1.5


@pytest.mark.parametrize("float16", [False, True])
def test_a_stack_grows_as_it_is_written(tmp_path: Path, float16: bool) -> None:
    """A file made at its full size at once has holes; one that finds no room later ends the process by a signal."""
    image_bytes = BOX * BOX * (2 if float16 else 4)
    with StackWriter(tmp_path / "a.mrcs", N, BOX, 1.5, float16=float16) as writer:
        for image in draw_images():
            writer.write(image[None])
            (partial,) = tmp_path.iterdir()
            assert partial.stat().st_size <= HEADER_BYTES + writer.written * image_bytes


def test_headers_are_those_of_mrcfile(tmp_path: Path) -> None:
    volume = draw_images(BOX)[:, :12, :10]
    write_map(tmp_path / "a.mrc", volume, 2.5)
    write_stack(tmp_path / "a.mrcs", draw_images(), 1.5)
    with mrcfile.new(tmp_path / "b.mrc") as file:
        file.set_data(volume)
        file.set_volume()
        file.voxel_size = 2.5
    with mrcfile.new(tmp_path / "b.mrcs") as file:
        file.set_data(draw_images())
        file.set_image_stack()
        file.voxel_size = 1.5
    for suffix in ("mrc", "mrcs"):
        with mrcfile.open(tmp_path / f"a.{suffix}") as ours, mrcfile.open(tmp_path / f"b.{suffix}") as theirs:
            for name in set(ours.header.dtype.names) - {"label", "rms", "dmean"}:
                assert ours.header[name].tobytes() == theirs.header[name].tobytes(), name
            for name in ("rms", "dmean"):
                assert float(ours.header[name]) == pytest.approx(float(theirs.header[name]), rel=1e-5)
        assert mrcfile.validate(tmp_path / f"a.{suffix}")


def test_images_are_read_in_any_order(tmp_path: Path) -> None:
    images = draw_images()
    write_stack(tmp_path / "a.mrcs", images, 1.5)
    header = read_header(tmp_path / "a.mrcs")
    for places in ([], [3], [2, 3, 4, 0, 6, 5, 5, 6], [6, 0]):
        wanted = np.array(places, np.int64)
        np.testing.assert_array_equal(read_images(header, wanted), images[wanted])


def test_a_stack_that_is_cut_short_while_it_is_read_is_named(tmp_path: Path) -> None:
    """Mapped into memory, it would end the process by SIGBUS."""
    write_stack(tmp_path / "a.mrcs", draw_images(), 1.5)
    stack = read_particles(tmp_path / "a.mrcs")
    os.truncate(tmp_path / "a.mrcs", HEADER_BYTES + 100)
    with pytest.raises(InputError, match=r"a\.mrcs: shorter than when its header was read; expected 7 images"):
        stack.read(slice(None))
    (tmp_path / "a.mrcs").unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.mrcs"):
        stack.read(slice(None))


def test_maps_come_back(tmp_path: Path) -> None:
    volume = draw_images(BOX)
    write_map(tmp_path / "a.mrc", volume, 2.5)
    again, voxel_size = read_map(tmp_path / "a.mrc")
    np.testing.assert_array_equal(again, volume)
    assert voxel_size == 2.5


def test_too_few_images_leave_no_file(tmp_path: Path) -> None:
    few = pytest.raises(ValueError, match="1 images written; the stack was opened for 7")
    with few, StackWriter(tmp_path / "a.mrcs", N, BOX, 1.5) as writer:
        writer.write(draw_images(1))
    assert list(tmp_path.iterdir()) == []
    many = pytest.raises(ValueError, match="opened for 7 of box 16")
    with many, StackWriter(tmp_path / "a.mrcs", N, BOX, 1.5) as writer:
        writer.write(draw_images(8))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist; make it first"):
        write_stack(tmp_path / "no" / "a.mrcs", draw_images(), 1.5)


def test_a_truncated_stack_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mrcs"
    write_stack(path, draw_images(), 1.5)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match=r"a.mrcs: truncated: 8191 bytes found, 8192 expected for 7 images; copy it"):
        read_header(path)
    path.write_bytes(whole[:100])
    with pytest.raises(InputError, match=r"truncated: 100 bytes, an MRC header alone has 1024"):
        read_header(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mrcs"
    header = np.zeros(HEADER_BYTES // 4, "<i4")
    header[:4] = (BOX, BOX, 1, 4)
    path.write_bytes(header.tobytes())
    with pytest.raises(InputError, match=r"MRC mode 4 \(complex of two float32\); expected one of 0, 1, 2, 6, 12"):
        read_header(path)
    header[:4] = (BOX, -1, 1, 2)
    path.write_bytes(header.tobytes())
    with pytest.raises(InputError, match=r"is it an MRC file\?"):
        read_header(path)
    with pytest.raises(InputError, match=r"b.mrcs: no such file; expected an MRC stack"):
        read_header(tmp_path / "b.mrcs")
