"""cryoDRGN: the files it is given, and how it is found."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryoprior.errors import InputError
from cryoprior.external.cryodrgn import CRYODRGN, backproject, write_input
from cryoprior.io import read_particles, read_star, write_star
from kit.cryodrgn_particles import write_set


def test_what_is_written_is_read_back_as_the_same_particles(tmp_path: Path) -> None:
    particles = read_particles(write_set(tmp_path / "set.star"))
    given = write_input(particles, tmp_path / "drgn")
    again = read_particles(given.stack, poses=given.poses, ctf=given.ctf)
    np.testing.assert_array_equal(again.read(slice(None)), particles.read(slice(None)))
    np.testing.assert_allclose(again.pixel_size, particles.pixel_size, rtol=1e-6)
    found, expected = again.poses(), particles.poses()
    assert found is not None
    assert expected is not None
    turned = [Rotation.from_euler("ZYZ", euler, degrees=True).as_matrix() for euler in (found[0], expected[0])]
    np.testing.assert_allclose(*turned, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-4)
    parameters = again.ctf_parameters()
    assert parameters is not None
    for name, values in (particles.ctf_parameters() or {}).items():
        np.testing.assert_allclose(parameters[name], values, rtol=1e-6)


def test_particles_without_a_ctf_are_given_without_one(tmp_path: Path) -> None:
    given = write_input(read_particles(write_set(tmp_path / "set.star", ctf=False)), tmp_path / "drgn")
    assert given.ctf is None
    assert sorted(path.name for path in (tmp_path / "drgn").iterdir()) == ["particles.mrcs", "poses.pkl"]


def test_what_it_cannot_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="box 9; cryoDRGN wants an even one"):
        write_input(read_particles(write_set(tmp_path / "odd.star", 9)), tmp_path / "drgn")
    with pytest.raises(InputError, match=r"no poses .* refine them first"):
        write_input(read_particles(write_set(tmp_path / "blind.star", poses=False)), tmp_path / "drgn")
    assert not (tmp_path / "drgn").exists()


IDENTITY = {f"rlnMagMat{row}{column}": float(row == column) for row in (0, 1) for column in (0, 1)}


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"rlnCtfDataAreCtfPremultiplied": 1}, "rlnCtfDataAreCtfPremultiplied"),
        ({"rlnCtfBfactor": 80.0}, "rlnCtfBfactor"),
        (IDENTITY | {"rlnMagMat00": 1.02}, "rlnMagMat00, rlnMagMat01"),
        ({"rlnOddZernike": "[0,0,9]"}, "rlnOddZernike"),
    ],
)
def test_a_transfer_that_it_does_not_know_is_refused(columns: dict[str, object], named: str, tmp_path: Path) -> None:
    star = write_set(tmp_path / "set.star")
    tables = read_star(star)
    write_star(star, tables["particles"], tables["optics"].assign(**columns))
    with pytest.raises(
        InputError, match=rf"{named}.* change the transfer of its particles; .* all that cryoDRGN knows"
    ):
        write_input(read_particles(star), tmp_path / "drgn")
    assert not (tmp_path / "drgn").exists()


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\nexit 3\n")
    path.chmod(0o755)
    return path


def test_it_is_found_where_it_is_named_then_beside_python_then_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "env" / "python"))
    with pytest.raises(InputError, match=r"no cryodrgn on the PATH; pip install 'cryoprior\[heterogeneity\]'"):
        CRYODRGN.find()
    on_path = program(tmp_path / "path" / "cryodrgn")
    assert CRYODRGN.find() == on_path
    beside = program(tmp_path / "env" / "cryodrgn")
    assert CRYODRGN.find() == beside
    named = program(tmp_path / "elsewhere" / "drgn")
    assert CRYODRGN.find(named) == named
    with pytest.raises(InputError, match="absent"):
        CRYODRGN.find(tmp_path / "absent")


def test_its_failure_is_told(tmp_path: Path) -> None:
    particles = read_particles(write_set(tmp_path / "set.star"))
    with pytest.raises(InputError, match=r"failed \(3\); its log is .*cryodrgn.log"):
        backproject(particles, tmp_path / "drgn", executable=program(tmp_path / "drgn.sh"))
