from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from cryoprior.errors import InputError
from cryoprior.io import read_particles, write_stack, write_star
from cryoprior.io.cryosparc.checks import DEFOCUS, TRANSFER, check_columns
from cryoprior.io.formats.columns import Companions
from cryoprior.io.formats.cryosparc import read_cryosparc
from kit.stacks import BOX, N, draw_images


def test_star_and_cs_are_the_same_particles(shared_data: Path) -> None:
    star, cs = (read_particles(shared_data / "real" / f"empiar_10076_7.{ext}") for ext in ("star", "cs"))
    np.testing.assert_array_equal(star.read(slice(None)), cs.read(slice(None)))
    np.testing.assert_allclose(star.pixel_size, cs.pixel_size, rtol=1e-6)
    ctf, ctf_cs = star.ctf_parameters(), cs.ctf_parameters()
    assert ctf is not None
    assert ctf_cs is not None
    for name, values in ctf.items():
        np.testing.assert_allclose(ctf_cs[name], values, rtol=1e-6, err_msg=name)
    assert star.poses() is None
    assert cs.poses() is None


def write_cs(path: Path, drop: tuple[str, ...] = (), size: float = 3.0) -> np.ndarray:
    rng = np.random.default_rng(3)
    columns = {
        "blob/path": np.array([b">S1/a.mrcs"] * N),
        "blob/idx": np.arange(N, dtype=np.uint32)[::-1],
        "blob/shape": np.full((N, 2), BOX, np.uint32),
        "blob/psize_A": np.full(N, 1.5, np.float32),
        "ctf/exp_group_id": np.arange(N, dtype=np.uint32) % 2,
        "alignments3D/pose": rng.normal(size=(N, 3)).astype(np.float32),
        "alignments3D/shift": rng.normal(size=(N, 2)).astype(np.float32),
        "alignments3D/psize_A": np.full(N, size, np.float32),
        "alignments3D/split": np.arange(N, dtype=np.uint32) % 2,
    }
    columns = {name: values for name, values in columns.items() if name not in drop}
    rows = np.empty(N, [(name, v.dtype, v.shape[1:]) for name, v in columns.items()])
    for name, values in columns.items():
        rows[name] = values
    with path.open("wb") as file:
        np.save(file, rows)
    return rows


def test_poses_shifts_and_images(tmp_path: Path) -> None:
    (tmp_path / "S1").mkdir()
    (tmp_path / "J2").mkdir()
    images = draw_images()
    write_stack(tmp_path / "S1" / "a.mrcs", images, 1.5)
    rows = write_cs(tmp_path / "J2" / "particles.cs")
    stack = read_particles(tmp_path / "J2" / "particles.cs")
    np.testing.assert_array_equal(stack.read(slice(None)), images[::-1])
    angles, shifts = stack.poses() or (None, None)
    matrices = Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix()
    expected = Rotation.from_rotvec(rows["alignments3D/pose"].astype(float)).as_matrix()
    np.testing.assert_allclose(matrices, expected, atol=1e-6)
    np.testing.assert_allclose(shifts, rows["alignments3D/shift"] * 3.0, rtol=1e-6)
    assert len(stack.optics) == 2
    assert list(stack.table["rlnRandomSubset"][:2]) == [1, 2]


def test_written_as_star_it_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "S1").mkdir()
    write_stack(tmp_path / "S1" / "a.mrcs", draw_images(), 1.5)
    write_cs(tmp_path / "a.cs")
    cs = read_particles(tmp_path / "a.cs")
    write_star(tmp_path / "a.star", cs.table, cs.optics)
    star = read_particles(tmp_path / "a.star")
    pd.testing.assert_frame_equal(star.table, cs.table, check_exact=True, check_dtype=False)
    pd.testing.assert_frame_equal(star.optics, cs.optics, check_exact=True, check_dtype=False)
    np.testing.assert_array_equal(star.read(slice(None)), cs.read(slice(None)))


def test_real_metadata(shared_data: Path) -> None:
    metadata = read_cryosparc(shared_data / "meta" / "cryosparc_P12_J24_001_particles.cs", Companions())
    assert len(metadata.table) == 2019
    row = metadata.table.iloc[0]
    assert row["rlnOriginXAngst"] == pytest.approx(11.334375 * 2.95)
    assert row["rlnDefocusAngle"] == pytest.approx(np.degrees(-1.3636448), rel=1e-6)
    assert metadata.optics["rlnImagePixelSize"].unique().tolist() == [2.95]


def test_bad_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.cs"
    with pytest.raises(InputError, match=r"no such file; expected a cryoSPARC particle file"):
        read_particles(path)
    path.write_bytes(b"not numpy")
    with pytest.raises(InputError, match=r"not a cryoSPARC file: .*expected a structured numpy array"):
        read_particles(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match=r"no named columns; expected a structured numpy array"):
        read_particles(path)
    rows = write_cs(path, drop=("blob/path", "blob/idx"))
    with pytest.raises(InputError, match=r"no column blob/path and blob/idx to find the images by, and no"):
        read_particles(path)
    with path.open("wb") as file:
        np.save(file, rows[:0])
    with pytest.raises(InputError, match=r"no particle; expected one row or more"):
        read_particles(path)
    with pytest.raises(InputError, match=r"a .cs file holds its own"):
        read_particles(path, ctf=tmp_path / "ctf.pkl")


@pytest.mark.parametrize("name", TRANSFER)
def test_a_defocus_without_the_rest_of_its_transfer_function_is_refused(tmp_path: Path, name: str) -> None:
    """By every command, also by those that need no transfer function: the file has lost a column."""
    whole = np.ones(2, [(column, "f4") for column in (DEFOCUS, *TRANSFER)])
    check_columns(tmp_path / "a.cs", whole)
    with pytest.raises(InputError, match=rf"a\.cs: ctf/df1_A without {name}; expected all of them"):
        check_columns(tmp_path / "a.cs", whole[[column for column in whole.dtype.names or () if column != name]])
