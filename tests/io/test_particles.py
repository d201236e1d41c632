from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.io import read_particles, write_stack, write_star
from kit.stacks import BOX, N, draw_images, draw_optics, draw_table, write_particles, write_text


def test_any_order_several_stacks_and_leading_zeros(tmp_path: Path) -> None:
    images = draw_images()
    (tmp_path / "Extract").mkdir()
    write_stack(tmp_path / "Extract" / "a.mrcs", images[:4], 1.5)
    write_stack(tmp_path / "Extract" / "b.mrcs", images[4:], 1.5)
    table = draw_table()
    table["rlnImageName"] = [
        *(f"{i + 1:06d}@Extract/a.mrcs" for i in range(4)),
        *(f"{i + 1}@Extract/b.mrcs" for i in range(3)),
    ]
    order = [6, 0, 5, 1, 4, 2, 3]
    (tmp_path / "Refine" / "job1").mkdir(parents=True)
    star = tmp_path / "Refine" / "job1" / "run_data.star"
    write_star(star, table.iloc[order], draw_optics())
    stack = read_particles(star)
    np.testing.assert_array_equal(stack.read(slice(None)), images[order])
    np.testing.assert_array_equal(stack.read([3, 3, 0]), images[[1, 1, 6]])
    np.testing.assert_array_equal(stack.table["rlnDefocusU"], table["rlnDefocusU"].iloc[order])
    np.testing.assert_array_equal(stack.read([]).shape, (0, BOX, BOX))
    assert set(stack.files) == {tmp_path / "Extract" / "a.mrcs", tmp_path / "Extract" / "b.mrcs"}
    assert stack.subset([0, 2]).files == (tmp_path / "Extract" / "b.mrcs",)


def test_datadir(tmp_path: Path) -> None:
    path, images, _ = write_particles(tmp_path)
    (tmp_path / "far").mkdir()
    (tmp_path / "a.mrcs").rename(tmp_path / "far" / "a.mrcs")
    with pytest.raises(InputError, match=r"no image file a.mrcs in"):
        read_particles(path)
    np.testing.assert_array_equal(read_particles(path, datadir=tmp_path / "far").read([2])[0], images[2])


def test_subsets_keep_their_indices(tmp_path: Path) -> None:
    path, images, table = write_particles(tmp_path)
    stack = read_particles(path)
    part = stack.subset([5, 2, 4]).subset(slice(1, None))
    np.testing.assert_array_equal(part.index, [2, 4])
    np.testing.assert_array_equal(part.read([0, 1]), images[[2, 4]])
    assert list(part.table["rlnGroupName"]) == ["002", "004"]
    assert part.digest() == stack.digest() == stack.resized(8).digest()
    with pytest.raises(InputError, match=r"particle 2 asked for; expected 0 to 1"):
        part.read([2])
    assert len(table) == stack.n == len(stack)


def test_the_digest_knows_images_and_tables(tmp_path: Path) -> None:
    path, images, table = write_particles(tmp_path)
    before = read_particles(path).digest()
    assert read_particles(path).digest() == before
    images[0, 0, 0] += 1
    write_stack(tmp_path / "a.mrcs", images, 1.5)
    changed = read_particles(path).digest()
    write_star(path, table.assign(rlnAngleRot=0.0), draw_optics())
    assert len({before, changed, read_particles(path).digest()}) == 3


@pytest.mark.parametrize("method", ["fourier", "bicubic"])
def test_resized_views(tmp_path: Path, method: str) -> None:
    path, _, _ = write_particles(tmp_path)
    stack = read_particles(path)
    small = stack.resized(8, method)
    assert small.read(slice(None)).shape == (N, 8, 8)
    np.testing.assert_allclose(small.pixel_size, 2 * stack.pixel_size)
    assert set(small.optics["rlnImageSize"]) == {8}
    assert small.resizing == {"original_box": BOX, "box": 8, "method": method}
    np.testing.assert_array_equal(small.subset([3]).read([0])[0], small.read([3])[0])
    before, after = stack.poses(), small.poses()
    assert before is not None
    assert after is not None
    moved = 0 if method == "fourier" else 0.25 * 2 * stack.pixel_size[:, None]
    np.testing.assert_allclose(after[1], before[1] + moved, atol=1e-12)
    with pytest.raises(InputError, match=r"resize to a box of 1; expected at least 2"):
        stack.resized(1)
    with pytest.raises(InputError, match=r"resize 'nearest': expected one of fourier, bicubic"):
        stack.resized(8, "nearest")


def test_a_pixel_size_that_replaces_another_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, _, _ = write_particles(tmp_path)
    with caplog.at_level(logging.WARNING, "cryoprior"):
        read_particles(path, pixel_size=2.0)
    assert "pixel size 1.25, 1.5 A replaced by 2 A" in caplog.text


def test_a_bare_stack_needs_a_pixel_size(tmp_path: Path) -> None:
    write_stack(tmp_path / "a.mrcs", draw_images(), 0.0)
    with pytest.raises(InputError, match=r"a.mrcs: no pixel size .*; add it, or pass pixel_size"):
        read_particles(tmp_path / "a.mrcs")
    np.testing.assert_allclose(read_particles(tmp_path / "a.mrcs", pixel_size=1.5).pixel_size, 1.5)
    with pytest.raises(InputError, match=r"pixel_size -1: expected more than 0 angstrom"):
        read_particles(tmp_path / "a.mrcs", pixel_size=-1)


def test_bad_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown extension '.tif'; expected one of .star, .cs, .mrcs, .mrc, .txt"):
        read_particles(tmp_path / "a.tif")
    for name in ("a.star", "a.cs", "a.mrcs", "a.txt"):
        with pytest.raises(InputError, match=rf"{name}: no such file"):
            read_particles(tmp_path / name)
    with pytest.raises(InputError, match=r"empty; expected the name of one stack a line"):
        read_particles(write_text(tmp_path / "a.txt", "\n"))


def test_images_must_be_square_and_of_one_box(tmp_path: Path) -> None:
    import mrcfile

    with mrcfile.new(tmp_path / "a.mrcs") as mrc:
        mrc.set_data(np.zeros((2, 8, 16), np.float32))
        mrc.voxel_size = 1.0
    with pytest.raises(InputError, match=r"images of 8 x 16 pixels; expected square ones"):
        read_particles(tmp_path / "a.mrcs")
    for name, box in (("b.mrcs", 8), ("c.mrcs", 16)):
        write_stack(tmp_path / name, draw_images(2, box), 1.0)
    with pytest.raises(InputError, match=r"images of boxes 8, 16; expected one; rescale one of them"):
        read_particles(write_text(tmp_path / "a.txt", "b.mrcs\nc.mrcs\n"))


def test_real_stacks(shared_data: Path) -> None:
    real = shared_data / "real"
    with pytest.raises(InputError, match=r"pass pixel_size"):
        read_particles(real / "empiar_10076_7.mrc")
    astex = read_particles(real / "astex_epu_crops.mrcs")
    assert (astex.n, astex.box) == (157, 128)
    np.testing.assert_allclose(astex.pixel_size, 1.333, atol=1e-3)
    assert abs(astex.read([0, 156]).std() - 1) < 0.1
    star, bare = read_particles(real / "relion31.star"), read_particles(real / "relion31.mrcs")
    np.testing.assert_array_equal(star.read([4]), bare.read([4]))
    np.testing.assert_allclose(star.pixel_size, 2.806)
