from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.io import read_particles, write_stack, write_star
from cryoprior.io.formats.columns import Companions
from cryoprior.io.formats.relion import read_relion
from kit.stacks import BOX, draw_images, draw_optics, draw_table, write_particles, write_text

OLD = """
data_
loop_
_rlnImageName #1
_rlnVoltage #2
_rlnSphericalAberration #3
_rlnAmplitudeContrast #4
_rlnMagnification #5
_rlnDetectorPixelSize #6
_rlnOriginX #7
_rlnOriginY #8
_rlnAngleRot #9
_rlnAngleTilt #10
_rlnAnglePsi #11
3@a.mrcs 300 2.7 0.1 40000 5 2 -1 10 20 30
1@a.mrcs 300 2.7 0.1 50000 5 0 4 11 21 31
"""


def test_relion_2_becomes_relion_3(tmp_path: Path) -> None:
    images = draw_images()
    write_stack(tmp_path / "a.mrcs", images, 9.0)
    stack = read_particles(write_text(tmp_path / "old.star", OLD))
    np.testing.assert_allclose(stack.pixel_size, [1.25, 1.0])
    angles, shifts = stack.poses() or (None, None)
    np.testing.assert_allclose(shifts, [[2.5, -1.25], [0, 4]])
    np.testing.assert_allclose(angles, [[10, 20, 30], [11, 21, 31]])
    np.testing.assert_array_equal(stack.read([0, 1]), images[[2, 0]])
    assert set(stack.optics["rlnVoltage"]) == {300}
    assert not {"rlnMagnification", "rlnOriginX"} & set(stack.table.columns)


@pytest.mark.parametrize(("name", "rows", "groups"), [("relion31.6opticsgroups.star", 100, 6), ("relion5.star", 20, 1)])
def test_relion_files_of_each_generation(shared_data: Path, name: str, rows: int, groups: int) -> None:
    metadata = read_relion(shared_data / "meta" / name, Companions())
    assert len(metadata.optics) == groups
    assert len(metadata.table) > 1
    assert metadata.optics["rlnImagePixelSize"].between(0.5, 3).all()


def test_relion_without_an_optics_table(shared_data: Path) -> None:
    metadata = read_relion(shared_data / "meta" / "relion31.v2.star", Companions(pixel_size=1.4))
    assert len(metadata.optics) == 1
    assert "rlnOpticsGroup" in metadata.table.columns


def test_pixel_sizes_are_those_of_the_groups(tmp_path: Path) -> None:
    path, _, table = write_particles(tmp_path)
    expected = np.where(table["rlnOpticsGroup"] == 1, 1.5, 1.25)
    np.testing.assert_allclose(read_particles(path).pixel_size, expected)
    np.testing.assert_allclose(read_particles(path, pixel_size=3.0).pixel_size, 3)


def test_ctf_parameters_join_both_tables(tmp_path: Path) -> None:
    path, _, table = write_particles(tmp_path)
    ctf = read_particles(path).ctf_parameters()
    assert ctf is not None
    np.testing.assert_array_equal(ctf["defocus_u_angstrom"], table["rlnDefocusU"])
    np.testing.assert_array_equal(ctf["voltage_kv"], np.where(table["rlnOpticsGroup"] == 1, 300, 200))
    assert not ctf["phase_shift_deg"].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, o: (t.drop(columns="rlnImageName"), o), r"no column rlnImageName among .*; add rlnImageName"),
        (lambda t, o: (t.iloc[:0], o), r"no particle; expected one row or more"),
        (
            lambda t, o: (t, o.assign(rlnImagePixelSize=np.inf)),
            r"optics group 1 has rlnImagePixelSize inf; expected a n",
        ),
        (lambda t, o: (t, o.assign(rlnOpticsGroup=1)), r"data_optics has two rows of rlnOpticsGroup 1; which is meant"),
        (lambda t, o: (t, o.assign(rlnImageDimensionality=3)), r"rlnImageDimensionality 3: subtomograms"),
        (lambda t, o: (t.assign(rlnPhaseShift=np.nan), o), r"particle 1 has rlnPhaseShift nan; expected a number"),
        (lambda t, o: (t.assign(rlnAngleRot=np.inf), o), r"particle 1 has rlnAngleRot inf; expected a number"),
        (
            lambda t, o: (t.assign(rlnImageName="a.mrcs"), o),
            r"rlnImageName 'a.mrcs', a stack of 7 images; expected one",
        ),
        (lambda t, o: (t.assign(rlnImageName="-1@a.mrcs"), o), r"rlnImageName '-1@a.mrcs'; expected number@stack"),
        (lambda t, o: (t.assign(rlnImageName="9" * 5000 + "@a.mrcs"), o), r"rlnImageName '9+'; expected number@stack"),
        (lambda t, o: (t, o.assign(rlnImagePixelSize=0.0)), r"no pixel size .*; add it, or pass pixel_size"),
        (lambda t, o: (t, o.drop(columns="rlnOpticsGroup")), r"data_optics has no column rlnOpticsGroup"),
        (lambda t, o: (t.drop(columns="rlnOpticsGroup"), o), r"no column rlnOpticsGroup, and 2 optics groups"),
        (lambda t, o: (t, o.iloc[:1]), r"particle 2 is in optics group 2; the optics table has 1; add the group"),
        (lambda t, o: (t, o.assign(rlnImageSize=32)), r"rlnImageSize 32, but the images are 16 pixels"),
        (lambda t, o: (t.assign(rlnImagePixelSize=2.0), o), r"2.0000 A by .* 1.5000 A by .*contradict each other"),
        (lambda t, o: (t.assign(rlnOriginX=9.0), o), r"rlnOriginX 9.0 pixels and rlnOriginXAngst .*contradict"),
        (lambda t, o: (t.assign(rlnDefocusU="bad"), o), r"particle 1 has rlnDefocusU 'bad'; expected a number"),
        (lambda t, o: (t.assign(rlnImageName="000008@a.mrcs"), o), r"particle 1 is image 8 of .*which holds 7"),
        (lambda t, o: (t.assign(rlnImageName="0@a.mrcs"), o), r"rlnImageName '0@a.mrcs'; expected number@stack"),
        (lambda t, o: (t.assign(rlnImageName="1@b.mrcs"), o), r"no image file b.mrcs in .*pass datadir"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, change, message: str) -> None:
    path, _, table = write_particles(tmp_path)
    table, optics = change(table, draw_optics())
    write_star(path, table, optics)
    with pytest.raises(InputError, match=message):
        read_particles(path)


def test_contradictory_pixel_sizes_of_relion_2(tmp_path: Path) -> None:
    text = OLD.replace("_rlnOriginX #7", "_rlnPixelSize #7")
    with pytest.raises(InputError, match=r"2.0000 A by rlnPixelSize and 1.2500 A by rlnDetectorPixelSize / rlnMagn"):
        read_particles(write_text(tmp_path / "old.star", text))


def test_defocus_without_the_rest(tmp_path: Path) -> None:
    path, _, table = write_particles(tmp_path)
    write_star(path, table, draw_optics().drop(columns="rlnVoltage"))
    with pytest.raises(InputError, match=r"rlnDefocusU without rlnVoltage; add them, or remove the defocus"):
        read_particles(path).ctf_parameters()


def test_companions_of_other_formats(tmp_path: Path) -> None:
    path, _, _ = write_particles(tmp_path)
    with pytest.raises(InputError, match=r"poses and ctf were given, but a star file holds its own"):
        read_particles(path, poses=tmp_path / "poses.pkl")


def test_without_ctf_or_pose(tmp_path: Path) -> None:
    write_stack(tmp_path / "a.mrcs", draw_images(), 1.5)
    table = draw_table()[["rlnImageName", "rlnOpticsGroup"]]
    write_star(tmp_path / "particles.star", table, draw_optics(BOX))
    stack = read_particles(tmp_path / "particles.star")
    assert stack.ctf_parameters() is None
    assert stack.poses() is None


def test_the_pixel_size_of_the_stack_where_the_file_has_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, _, table = write_particles(tmp_path)
    table = table.rename(columns={"rlnOriginXAngst": "rlnOriginX"})
    write_star(path, table, draw_optics().drop(columns="rlnImagePixelSize"))
    with caplog.at_level("INFO"):
        stack = read_particles(path)
    np.testing.assert_allclose(stack.pixel_size, 1.5)  # what write_particles puts into the header
    np.testing.assert_allclose(stack.table["rlnOriginXAngst"], 1.5 * table["rlnOriginX"])
    assert "no pixel size; 1.5 A by the headers of its stacks" in caplog.text


def test_no_pixel_size_anywhere(tmp_path: Path) -> None:
    path, images, table = write_particles(tmp_path)
    write_stack(tmp_path / "a.mrcs", images, 0.0)
    write_star(path, table, draw_optics().drop(columns="rlnImagePixelSize"))
    with pytest.raises(InputError, match=r"no pixel size .*; add it, or pass pixel_size"):
        read_particles(path)
