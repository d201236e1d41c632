"""Volumes from files: what must lie on a grid does, or is refused by name."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.io import write_map
from cryoprior.io.volumes import read_density, read_mask, read_volume

D, VOXEL = 8, 3.0
VOLUME = np.random.default_rng(0).normal(size=(D, D, D)).astype(np.float32)


def written(path: Path, volume: np.ndarray = VOLUME, voxel_size: float = VOXEL) -> Path:
    write_map(path, volume, voxel_size)
    return path


def test_a_map_and_its_voxel_size_are_read(tmp_path: Path) -> None:
    volume, voxel_size = read_density(written(tmp_path / "a.mrc"))
    np.testing.assert_array_equal(volume, VOLUME)
    assert voxel_size == pytest.approx(VOXEL)
    np.testing.assert_array_equal(read_volume(tmp_path / "a.mrc", D, 1.009 * VOXEL), VOLUME)


def test_what_is_no_density_is_refused(tmp_path: Path) -> None:
    hole = VOLUME.copy()
    hole[1, 2, 3] = np.inf
    cases = {
        "no such file; expected a map": tmp_path / "absent.mrc",
        "5 x 8 x 8 voxels; expected a cube": written(tmp_path / "slab.mrc", VOLUME[:5]),
        "1 values are NaN or infinite": written(tmp_path / "hole.mrc", hole),
        "every value is 2; expected a map with density": written(tmp_path / "flat.mrc", np.full_like(VOLUME, 2)),
    }
    for message, path in cases.items():
        with pytest.raises(InputError, match=message):
            read_density(path)
        with pytest.raises(InputError, match=message):
            read_volume(path, D, VOXEL)
    with pytest.raises(InputError, match="the header gives no voxel size"):
        read_density(written(tmp_path / "bare.mrc", voxel_size=0.0))


@pytest.mark.parametrize("read", [read_volume, read_mask])
def test_what_lies_on_another_grid_is_refused(tmp_path: Path, read: object) -> None:
    path = written(tmp_path / "a.mrc", np.clip(VOLUME, 0, 1))
    with pytest.raises(InputError, match=r"8 x 8 x 8 voxels; expected 9 a side, the grid of the first map; resample"):
        read(path, 9, VOXEL, "the first map")
    with pytest.raises(InputError, match=r"3\.0000 A a voxel; expected 3\.1000, the grid of the particles; resample"):
        read(path, D, 3.1)


def test_a_header_without_voxel_size_is_taken_to_agree_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path / "bare.mrc", voxel_size=0.0)
    with caplog.at_level(logging.WARNING, "cryoprior"):
        np.testing.assert_array_equal(read_volume(path, D, VOXEL), VOLUME)
    assert "bare.mrc: its header gives no voxel size; taken as 3.0000 A, that of the particles" in caplog.text


def test_a_mask_may_be_constant_but_is_no_map_and_keeps_something(tmp_path: Path) -> None:
    ones = np.ones_like(VOLUME)
    np.testing.assert_array_equal(read_mask(written(tmp_path / "ones.mrc", ones), D, VOXEL), ones)
    with pytest.raises(InputError, match=r"values from .* expected a mask, 0 to 1; is it a map"):
        read_mask(written(tmp_path / "map.mrc"), D, VOXEL)
    with pytest.raises(InputError, match="no value is above 0; expected a mask"):
        read_mask(written(tmp_path / "none.mrc", 0 * ones), D, VOXEL)
