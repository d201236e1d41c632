"""The optical columns of particle files: read by particle or by group, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cryoprior.errors import InputError
from cryoprior.io.geometry import table_ctf
from cryoprior.io.optics import Columns, check_honoured

STAR = Path("p.star")
MATRIX = {"rlnMagMat00": 1.03, "rlnMagMat01": 0.02, "rlnMagMat10": -0.01, "rlnMagMat11": 0.96}


def tables(particles: dict[str, Any] | None = None, groups: dict[str, Any] | None = None) -> tuple[Any, Any]:
    """Return the tables of three particles in two optics groups, 1, 2, 1, with further columns."""
    defocus = {"rlnDefocusU": 15e3, "rlnDefocusV": 14e3, "rlnDefocusAngle": 30.0}
    table = pd.DataFrame({"rlnOpticsGroup": [1, 2, 1]}).assign(**defocus | (particles or {}))
    microscope = {"rlnVoltage": 300.0, "rlnSphericalAberration": 2.7, "rlnAmplitudeContrast": 0.1}
    return table, pd.DataFrame({"rlnOpticsGroup": [1, 2]}).assign(**microscope | (groups or {}))


def parameters(particles: dict[str, Any] | None = None, groups: dict[str, Any] | None = None) -> dict[str, np.ndarray]:
    found = table_ctf(STAR, *tables(particles, groups))
    assert found is not None
    return found


def test_what_changes_nothing_is_left_out() -> None:
    neutral: dict[str, Any] = {
        "rlnCtfBfactor": 0.0,
        "rlnCtfScalefactor": 1.0,
        "rlnBeamTiltX": 0.0,
        "rlnOddZernike": "[0,0,0,0,0,0]",
        "rlnEvenZernike": "[]",
        "rlnMagMat00": 1.0,
        "rlnMagMat01": 0.0,
        "rlnMagMat10": 0.0,
        "rlnMagMat11": 1.0,
        "rlnCtfDataAreCtfPremultiplied": 0,
        "rlnCtfDataArePhaseFlipped": 0,
    }
    assert parameters(groups=neutral).keys() == parameters().keys()


def test_a_group_gives_its_particles_their_values() -> None:
    found = parameters(
        groups={
            "rlnBeamTiltX": [0.6, -0.6],
            "rlnOddZernike": ["[0,0,1.5]", "[0,0,-2e1,0,0,4]"],
            **{name: [value, float(name[-1] == name[-2])] for name, value in MATRIX.items()},
            "rlnCtfDataAreCtfPremultiplied": [1, 0],
        }
    )
    np.testing.assert_array_equal(found["beam_tilt_x_mrad"], [0.6, -0.6, 0.6])
    np.testing.assert_array_equal(found["beam_tilt_y_mrad"], [0, 0, 0])
    np.testing.assert_array_equal(found["odd_zernike"][1], [0, 0, -20, 0, 0, 4])
    np.testing.assert_array_equal(found["odd_zernike"][2], [0, 0, 1.5, 0, 0, 0])
    np.testing.assert_array_equal(found["magnification"][0], [[1.03, 0.02], [-0.01, 0.96]])
    np.testing.assert_array_equal(found["magnification"][1], np.eye(2))
    np.testing.assert_array_equal(found["premultiplied"], [True, False, True])


def test_the_particle_wins_over_its_group() -> None:
    found = parameters({"rlnCtfBfactor": [10.0, 20.0, 30.0]}, {"rlnCtfBfactor": 99.0, "rlnCtfScalefactor": [0.5, 0.7]})
    np.testing.assert_array_equal(found["bfactor_angstrom2"], [10, 20, 30])
    np.testing.assert_array_equal(found["scale"], [0.5, 0.7, 0.5])


@pytest.mark.parametrize(
    ("particles", "groups", "message"),
    [
        ({"rlnCtfBfactor": [1.0, "much", 3.0]}, {}, r"p.star: particle 2 has rlnCtfBfactor much; expected a number"),
        ({"rlnCtfScalefactor": [1.0, np.inf, 1.0]}, {}, r"particle 2 has rlnCtfScalefactor inf; expected a number"),
        ({}, {"rlnVoltage": ["300", "high"]}, r"particle 2 has rlnVoltage high; expected a number"),
        ({}, {"rlnEvenZernike": ["[1,2]", "[1;2]"]}, r"particle 2 has rlnEvenZernike \[1;2\]; expected \[a,b,...\]"),
        ({}, {"rlnOddZernike": "[" + "1," * 200 + "1]"}, r"rlnOddZernike .*expected \[a,b,...\], at most 100 numbers"),
        ({}, {"rlnOddZernike": "[nan]"}, r"rlnOddZernike \[nan\]; expected"),
        ({}, {"rlnMagMat00": 1.1}, r"rlnMagMat00 without rlnMagMat01, rlnMagMat10, rlnMagMat11; add them"),
        ({}, MATRIX | {"rlnMagMat11": -0.96}, r"rlnMagMat00 1.03; expected a matrix that magnifies by 0.5 to 2"),
        ({}, MATRIX | {"rlnMagMat11": 0.0}, r"rlnMagMat00 1.03; expected a matrix that magnifies by 0.5 to 2"),
        ({"rlnCtfDataAreCtfPremultiplied": [0, 2, 0]}, {}, r"rlnCtfDataAreCtfPremultiplied 2; expected 0 or 1"),
        (
            {"rlnCtfDataArePhaseFlipped": [0, 0, 1]},
            {"rlnCtfDataAreCtfPremultiplied": 1},
            r"particle 3 is both rlnCtfDataAreCtfPremultiplied and rlnCtfDataArePhaseFlipped",
        ),
        (
            {},
            {"rlnBeamTiltX": 0.6, "rlnOddZernike": "[0,0,0,2,0,0]"},
            r"particle 1 has coma twice, as rlnBeamTiltX or Y and as the 4th or 5th number of rlnOddZernike",
        ),
    ],
)
def test_what_is_no_value_is_refused_by_name(particles: dict[str, Any], groups: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parameters(particles, groups)


@pytest.mark.parametrize(
    ("particles", "message"),
    [
        ({"rlnIsFlip": [0, 1, 0]}, r"particle 2 has rlnIsFlip 1; expected 0, since mirrored images cannot be honoured"),
        (
            {"rlnCtfBfactor": [0.0, -30.0, -357.8]},
            r"particle 3 has rlnCtfBfactor -357.8; expected -100 or more, since it",
        ),
        ({"rlnMagnificationCorrection": 1.1}, r"rlnMagnificationCorrection 1.1; expected 1, since a magnification"),
    ],
)
def test_what_a_map_cannot_honour_is_refused(particles: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_honoured(Columns.of(STAR, *tables(particles)))


def test_a_transfer_without_a_defocus_is_refused() -> None:
    table, optics = tables(groups={"rlnCtfDataAreCtfPremultiplied": 1})
    bare = table.drop(columns="rlnDefocusU")
    with pytest.raises(InputError, match="rlnCtfDataAreCtfPremultiplied without rlnDefocusU; expected the CTF beside"):
        check_honoured(Columns.of(STAR, bare, optics))
    neutral = optics.assign(rlnCtfDataAreCtfPremultiplied=0)
    assert check_honoured(Columns.of(STAR, bare, neutral)) == []
    assert table_ctf(STAR, bare, neutral) is None


def test_the_detector_is_said_to_stay() -> None:
    said = check_honoured(Columns.of(STAR, *tables(groups={"rlnMtfFileName": ["mtf_k3.star", ""]})))
    assert said == ["rlnMtfFileName mtf_k3.star is left in the images: amplitudes are those behind the detector"]
    assert check_honoured(Columns.of(STAR, *tables(groups={"rlnMtfFileName": ""}))) == []
