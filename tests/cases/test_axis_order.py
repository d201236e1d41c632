"""One map stored with other axes is one map: case 05, and all orders of the axes in every command that reads maps."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.io import read_map, read_particles
from cryoprior.io.mrc_volumes import read_map_header
from cryoprior.io.volumes import read_density, read_mask, read_volume
from cryoprior.maps import compare_command
from cryoprior.simulation import command as simulation
from kit.mrc_files import mrc_bytes

ORDERS = list(itertools.permutations((1, 2, 3)))
D, VOXEL = 12, 2.5


@pytest.fixture
def case(shared_data: Path) -> Path:
    return shared_data / "cases" / "05-axis-order"


def test_two_files_of_one_map_are_one_map(case: Path) -> None:
    found = compare_command.run(compare_command.Options(a=case / "a.mrc", b=case / "a_zyx.mrc"))
    assert found["correlation"] == pytest.approx(1.0)
    assert (found["contrast"], found["hand"]) == ("same", "same")


def stored(axes: tuple[int, int, int], volume: np.ndarray) -> np.ndarray:
    """Return the voxels as a file of these axes (columns, rows, sections) holds them; 1, 2, 3 are x, y, z."""
    columns, rows, sections = (3 - axis for axis in axes)  # the array's axes are z, y, x
    return np.transpose(volume, (sections, rows, columns))


@pytest.mark.parametrize("axes", ORDERS)
def test_every_order_of_axes_is_read_as_z_y_x(tmp_path: Path, axes: tuple[int, int, int]) -> None:
    volume = np.random.default_rng(1).normal(size=(5, 6, 7)).astype(np.float32)
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(stored(axes, volume), axes=axes, voxel=VOXEL))
    again, voxel_size = read_map(tmp_path / "a.mrc")
    np.testing.assert_array_equal(again, volume)
    assert voxel_size == pytest.approx(VOXEL)
    assert read_map_header(tmp_path / "a.mrc").volume_shape == volume.shape


@pytest.mark.parametrize("axes", ORDERS)
def test_a_mask_a_reference_and_a_map_to_build_into_are_turned_too(tmp_path: Path, axes: tuple[int, int, int]) -> None:
    volume = np.random.default_rng(2).uniform(size=(D, D, D)).astype(np.float32)
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(stored(axes, volume), axes=axes, voxel=VOXEL))
    for read in (read_mask, read_volume):
        np.testing.assert_array_equal(read(path, D, VOXEL), volume)
    np.testing.assert_array_equal(read_density(path)[0], volume)


@pytest.mark.parametrize("axes", [(2, 1, 3), (3, 1, 2)])
def test_simulated_particles_are_those_of_the_map_in_usual_order(tmp_path: Path, axes: tuple[int, int, int]) -> None:
    y, x, z = np.meshgrid(*3 * [np.arange(D) - D // 2], indexing="ij")
    volume = np.exp(-((z - 2) ** 2 + (y + 1) ** 2 + (x - 0.5) ** 2) / 4).astype(np.float32)
    images = []
    for name, order in (("usual", (1, 2, 3)), ("other", axes)):
        path = tmp_path / name / "blob.mrc"
        path.parent.mkdir()
        path.write_bytes(mrc_bytes(stored(order, volume), axes=order, voxel=VOXEL))
        given = {"n": 2, "box": D, "pixel_size": VOXEL, "snr": 1000.0, "threads": 1}
        simulation.run(simulation.Options(structures=(path,), output=tmp_path / name / "sim", **given))
        images.append(read_particles(tmp_path / name / "sim" / "clean.star").read())
    np.testing.assert_array_equal(images[0], images[1])


@pytest.mark.parametrize("axes", [(2, 1, 3), (1, 3, 2)])
def test_a_stack_of_images_with_other_axes_is_refused(tmp_path: Path, axes: tuple[int, int, int]) -> None:
    path = tmp_path / "a.mrcs"
    path.write_bytes(mrc_bytes(np.zeros((3, 8, 8), np.float32), axes=axes, voxel=VOXEL))
    with pytest.raises(InputError, match=rf"rows and sections are the axes {', '.join(map(str, axes))}; expected"):
        read_particles(path)


def test_axes_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(np.ones((8, 8, 8), np.float32), axes=(1, 1, 3), voxel=VOXEL))
    with pytest.raises(InputError, match=r"axes 1, 1, 3; expected 1, 2 and 3 in some order \(MAPC, MAPR, MAPS\)"):
        read_map(path)
