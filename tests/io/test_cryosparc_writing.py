"""What is written for cryoSPARC: the columns that were read, to the last bit; what changed, anew; RELION's, by name."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from cryoprior.errors import InputError
from cryoprior.io import ParticleStack, read_particles, read_star, write_star
from cryoprior.io.cryosparc.extra import extra_field, extra_label, field_values, shortest_decimals, table_values
from cryoprior.io.cryosparc.fields import every_column
from cryoprior.io.cryosparc.writing import write_cryosparc
from cryoprior.io.formats import Metadata, read_relion
from cryoprior.io.formats.columns import Companions
from cryoprior.io.formats.cryosparc import read_cryosparc
from kit.stacks import N, write_particles

ARRAYS = (
    "meta/cryosparc_P12_J24_001_particles.cs",
    "real/empiar_10076_7.cs",
    "cases/17-cs-aberrations/J15/J15_particles.cs",
)


def same_columns(again: np.ndarray, rows: np.ndarray) -> None:
    assert set(again.dtype.names or ()) == set(rows.dtype.names or ())
    for name in rows.dtype.names or ():
        if name in ("blob/path", "location/micrograph_path"):
            assert [v.lstrip(b">") for v in again[name]] == [v.lstrip(b">") for v in rows[name]], name
            continue
        assert again[name].dtype.kind == rows[name].dtype.kind, name
        np.testing.assert_array_equal(again[name], rows[name], err_msg=name)


@pytest.mark.parametrize("name", ARRAYS)
def test_real_metadata_come_back_to_the_last_bit(shared_data: Path, tmp_path: Path, name: str) -> None:
    rows = np.load(shared_data / name)
    read = read_cryosparc(shared_data / name, Companions())
    write_star(tmp_path / "a.star", read.table, read.optics)
    star = read_relion(tmp_path / "a.star", Companions())
    same_columns(np.load(write_cryosparc(tmp_path / "a.cs", star.table, star.optics)), rows)


def test_a_passthrough_comes_back_joined(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "cases" / "16-cs-passthrough" / "J11"
    read = read_cryosparc(folder / "J11_class_00_00262_particles.cs", Companions())
    again = np.load(write_cryosparc(tmp_path / "a.cs", read.table, read.optics))
    truth = np.load(folder / "joined_truth.cs")
    order = [int(np.flatnonzero(truth["uid"] == uid)[0]) for uid in again["uid"]]
    same_columns(again, truth[order])
    np.testing.assert_array_equal(again["uid"], np.load(folder / "J11_class_00_00262_particles.cs")["uid"])


def metadata(shared_data: Path) -> Metadata:
    return read_cryosparc(shared_data / "meta" / "cryosparc_P12_J24_001_particles.cs", Companions())


def test_what_changed_is_written_anew_and_the_rest_stays(shared_data: Path, tmp_path: Path) -> None:
    rows = np.load(shared_data / "meta" / "cryosparc_P12_J24_001_particles.cs")
    read = metadata(shared_data)
    table = read.table.copy()
    table.loc[5, ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]] = [10.0, 20.0, 30.0]
    table.loc[6, "rlnOriginXAngst"] += 2.95
    optics = read.optics.assign(rlnImagePixelSize=5.9, rlnImageSize=90)
    again = np.load(write_cryosparc(tmp_path / "a.cs", table, optics))
    pose = Rotation.from_euler("ZYZ", [10, 20, 30], degrees=True).as_rotvec()
    np.testing.assert_allclose(again["alignments3D/pose"][5], pose, rtol=1e-6)
    shift = again["alignments3D/shift"] * again["alignments3D/psize_A"][:, None]
    np.testing.assert_allclose(shift[6], (rows["alignments3D/shift"][6] + [1, 0]) * 2.95, rtol=1e-6)
    assert (again["blob/psize_A"] == np.float32(5.9)).all()
    assert (again["blob/shape"] == 90).all()
    others = np.delete(np.arange(len(rows)), [5, 6])
    np.testing.assert_allclose(shift[others], rows["alignments3D/shift"][others] * 2.95, rtol=1e-6)
    np.testing.assert_array_equal(again["alignments3D/pose"][others], rows["alignments3D/pose"][others])
    np.testing.assert_array_equal(again["alignments3D/error"], rows["alignments3D/error"])


def test_poses_taken_out_are_not_written_from_memory(shared_data: Path, tmp_path: Path) -> None:
    read = metadata(shared_data)
    table = read.table.drop(columns=["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnDefocusU"])
    names = np.load(write_cryosparc(tmp_path / "a.cs", table, read.optics)).dtype.names
    assert not {"alignments3D/pose", "alignments3D/shift", "ctf/df1_A"} & set(names or ())


def test_relion_particles_come_back_with_every_column(tmp_path: Path) -> None:
    path, images, _ = write_particles(tmp_path)
    blocks = read_star(path)
    optics = blocks["optics"].assign(
        rlnMtfFileName=["a b.star", "c.star"], rlnBeamTiltX=[0.3, 0.0], rlnBeamTiltY=[0.0, -0.1]
    )
    table = blocks["particles"].assign(rlnCtfFigureOfMerit=np.linspace(0.1, 0.7, N), rlnGroupNumber=np.arange(N))
    write_star(path, table, optics)
    star = read_particles(path)
    write_cryosparc(tmp_path / "particles.cs", star.table, star.optics)
    cs = read_particles(tmp_path / "particles.cs")
    np.testing.assert_array_equal(cs.read(), images)
    for name in star.table.columns:
        if star.table[name].dtype.kind == "f" and name not in ("rlnCtfFigureOfMerit",):
            np.testing.assert_allclose(cs.table[name], star.table[name], rtol=2e-6, atol=1e-5, err_msg=name)
        elif name != "rlnOpticsGroup":
            assert list(cs.table[name]) == list(star.table[name]), name
    for name in set(star.optics.columns) - {"rlnOpticsGroup"}:
        exact = star.optics[name].dtype.kind != "f"
        for a, b in zip(by_particle(cs, name), by_particle(star, name), strict=True):
            assert a == b if exact else a == pytest.approx(b, rel=1e-6), name
    assert len(set(np.load(tmp_path / "particles.cs")["uid"])) == N


def by_particle(stack: ParticleStack, name: str) -> list[object]:
    """Return an optics column for every particle, whatever its group is called."""
    return list(every_column(stack.table, stack.optics.rename(columns={name: "wanted"}))["wanted"])


def test_types_are_cryosparc_s(tmp_path: Path) -> None:
    path, _, _ = write_particles(tmp_path)
    star = read_particles(path)
    rows = np.load(write_cryosparc(tmp_path / "particles.cs", star.table, star.optics))
    kinds = {
        **dict.fromkeys(("uid", "blob/import_sig"), "<u8"),
        **dict.fromkeys(("blob/idx", "blob/shape", "ctf/exp_group_id"), "<u4"),
        **dict.fromkeys(("blob/psize_A", "blob/sign", "ctf/df1_A", "ctf/tetra_A", "alignments3D/pose"), "<f4"),
    }
    assert {name: rows.dtype[name].base.str for name in kinds} == kinds
    assert rows.dtype["alignments3D/pose"].shape == (3,)
    assert (rows["ctf/scale"] == 1).all()
    np.testing.assert_array_equal(rows["ctf/anisomag"], 0)


def test_what_cryosparc_cannot_honour_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, _, _ = write_particles(tmp_path)
    star = read_particles(path)
    optics = star.optics.assign(rlnCtfDataAreCtfPremultiplied=1, rlnOddZernike="[0.5,0,0,0,0,0]")
    with caplog.at_level(logging.WARNING, "cryoprior"):
        write_cryosparc(tmp_path / "a.cs", star.table, optics)
    assert "no place for rlnOddZernike of order 1 (shifts), rlnCtfDataAreCtfPremultiplied, and will not" in caplog.text


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.5, -0.1, np.nan], np.float32),
        np.array([2**64 - 1, 0, 7], np.uint64),
        np.array([[1.1, 2.0], [3e-30, 4.5], [0, -1]], np.float32),
        np.arange(18, dtype=np.uint32).reshape(3, 3, 2),
        np.array([b"", b">J2/a b.mrc", b"x"], "S20"),
        np.array([1e300, 0.1, 3.0]),
        np.array([-5, 2, 3], np.int64),
    ],
)
def test_any_column_goes_through_a_star_file(tmp_path: Path, values: np.ndarray) -> None:
    label = extra_label("any/name", np.dtype((values.dtype, values.shape[1:])) if values.ndim > 1 else values.dtype)
    write_star(tmp_path / "a.star", pd.DataFrame({"rlnImageName": ["a", "b", "c"], label: table_values(values)}), None)
    name, dtype = extra_field(label) or ("", np.dtype("u1"))
    again = field_values(label, read_star(tmp_path / "a.star")["particles"][label], dtype)
    assert name == "any/name"
    assert again.dtype == values.dtype
    np.testing.assert_array_equal(again, values)


@pytest.mark.parametrize(
    "label", ["rlnAngleRot", *(f"cryosparc:{end}" for end in ("a:f3", "a:O8", "a:f4x99999", ":f4"))]
)
def test_other_labels_are_no_columns_of_cryosparc(label: str) -> None:
    assert extra_field(label) is None


def test_values_that_were_edited_to_nonsense_are_refused(shared_data: Path, tmp_path: Path) -> None:
    read = metadata(shared_data)
    label = next(name for name in read.table.columns if name.startswith("cryosparc:alignments3D/error:"))
    table = read.table.assign(**{label: "large"})
    with pytest.raises(
        InputError, match=r"cryosparc:alignments3D/error:f4: could not convert .*'large'; expected what"
    ):
        write_cryosparc(tmp_path / "a.cs", table, read.optics)
    assert not (tmp_path / "a.cs").exists()


def test_shortest_decimals_are_those_that_are_printed() -> None:
    rng = np.random.default_rng(5)
    values = np.concatenate(
        [
            rng.normal(size=2000) * 10.0 ** rng.integers(-30, 30, 2000),
            np.round(rng.uniform(-1e5, 1e5, 2000), 2),
            [0.0, -0.0, 2.7, 1.31, 1e-45, 3.4e38, np.nan, np.inf, -np.inf, 16777216.0],
        ]
    ).astype(np.float32)
    expected = np.array([float(str(value)) for value in values])
    np.testing.assert_array_equal(shortest_decimals(values).astype(np.float32), values)
    ordinary = (np.abs(values) > 1e-15) & (np.abs(values) < 1e15)
    np.testing.assert_array_equal(shortest_decimals(values)[ordinary], expected[ordinary])
