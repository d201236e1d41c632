"""What can hardly be meant is told; what is usual is not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoprior.errors import InputError
from cryoprior.io import read_particles, validate_particles, write_map, write_star
from kit.stacks import BOX, draw_optics, write_particles

N = 12


def doubts(folder: Path, change) -> list[str]:
    path, _, table = write_particles(folder, N)
    table, optics = change(table, draw_optics())
    write_star(path, table, optics)
    stack = read_particles(path)
    assert set(stack.doubts()) <= set(validate_particles(stack))
    return stack.doubts()


def placed(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(rlnMicrographName="m.mrc", rlnCoordinateX=np.arange(N), rlnCoordinateY=7.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, o: (t.assign(rlnDefocusU=1.2, rlnDefocusV=1.1), o), "a defocus of at most 1.2 A for every particle"),
        (lambda t, o: (t.assign(rlnDefocusU=999.0, rlnDefocusV=1.1), o), "micrometres or nanometres"),
        (lambda t, o: (t, o.assign(rlnVoltage=300000.0)), "rlnVoltage 300000; expected 50 to 1500 (kV)"),
        (
            lambda t, o: (t, o.assign(rlnSphericalAberration=2700.0)),
            "rlnSphericalAberration 2700; expected 0 to 20 (mm)",
        ),
        (
            lambda t, o: (t.assign(**{c: np.radians(t[c]) for c in t if c.startswith("rlnAngle")}), o),
            "all angles between -2 pi and 2 pi; expected degrees",
        ),
        (lambda t, o: (t.assign(rlnOriginXAngst=[0.0] * (N - 1) + [99.0]), o), "particle 12 has an origin of 99, "),
        (
            lambda t, o: (t.assign(rlnImageName=t["rlnImageName"].replace({"000007@a.mrcs": "3@a.mrcs"})), o),
            "particles 3 and 7 are the same image, as 1 more",
        ),
        (
            lambda t, o: (placed(t).assign(rlnCoordinateX=[*range(N - 1), 4]), o),
            "particles 5 and 12 have the same place in one micrograph",
        ),
        (
            lambda t, o: (t.assign(cryosparcUid=["8", *map(str, range(N - 1))]), o),
            "particles 1 and 10 have the same cryosparcUid",
        ),
    ],
)
def test_what_can_hardly_be_meant(tmp_path: Path, change, message: str) -> None:
    found = doubts(tmp_path, change)
    assert len(found) == 1, found
    assert message in found[0]


@pytest.mark.parametrize("change", [lambda t, o: (t, o), lambda t, o: (placed(t), o)])
def test_what_is_usual(tmp_path: Path, change) -> None:
    assert doubts(tmp_path, change) == []


def test_real_particles_raise_no_doubt(shared_data: Path) -> None:
    assert read_particles(shared_data / "real" / "empiar_10076_7.star").doubts() == []
    two_picks = read_particles(shared_data / "real" / "relion31.star").doubts()  # as the file has it
    assert len(two_picks) == 1
    assert "particles 1 and 2 have the same place in one micrograph" in two_picks[0]


def test_a_volume_in_the_place_of_a_stack(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_map(tmp_path / "map.mrc", np.random.default_rng(0).normal(size=(BOX, BOX, BOX)).astype(np.float32), 1.5)
    assert "looks like a volume of 16 slices" in str(read_particles(tmp_path / "map.mrc").doubts())
    assert "looks like a volume of 16 slices" in caplog.text


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("rlnAmplitudeContrast", 10.0, "optics group 1 has rlnAmplitudeContrast 10; expected 0 to 1 (fraction)"),
        ("rlnVoltage", 0.0, "optics group 1 has rlnVoltage 0; expected 1 to 1e+06 (kV)"),
        ("rlnSphericalAberration", -2.0, "rlnSphericalAberration -2"),
        ("rlnImagePixelSize", 1e308, "rlnImagePixelSize 1e+308"),
        ("rlnDefocusU", -1e12, "row 1 has rlnDefocusU -1e+12"),
        ("rlnOriginXAngst", 1e12, "row 1 has rlnOriginXAngst 1e+12"),
    ],
)
def test_what_no_microscope_gives_is_refused(tmp_path: Path, column: str, value: float, message: str) -> None:
    path, _, table = write_particles(tmp_path, N)
    optics = draw_optics()
    if column in optics:
        optics[column] = value
    else:
        table[column] = value
    write_star(path, table, optics)
    with pytest.raises(InputError, match=re.escape(message)):
        read_particles(path)
