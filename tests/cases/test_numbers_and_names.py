"""Cases 09, 11, 12, 13, 15, 25: what a particle file writes is what is read, and what is written again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.housekeeping import convert
from cryoprior.io import read_particles, read_star
from cryoprior.io.latents import read_labels


@pytest.fixture
def cases(shared_data: Path) -> Path:
    return shared_data / "cases"


def converted(path: Path, folder: Path) -> dict:
    convert.run(convert.Options(particles=path, output=folder))
    return read_star(folder / "particles.star")["particles"]


def test_apostrophes_belong_to_names(cases: Path, tmp_path: Path) -> None:
    table = converted(cases / "11-apostrophe" / "p.star", tmp_path / "out")
    assert table["rlnMicrographName"].tolist() == [f"Micrographs/5'UTR_grid{i}.mrc" for i in range(6)]


@pytest.mark.parametrize(("file", "prefix"), [("p.star", "data_2023_"), ("loop.star", "loop_")])
def test_names_that_begin_like_syntax(cases: Path, tmp_path: Path, file: str, prefix: str) -> None:
    table = converted(cases / "12-data-prefix" / file, tmp_path / "out")
    assert table["rlnMicrographName"].tolist() == [f"{prefix}{i}.mrc" for i in range(6)]


def test_group_names_stay_text(cases: Path, tmp_path: Path) -> None:
    table = converted(cases / "13-numeric-names" / "p.star", tmp_path / "out")
    assert table["rlnGroupName"].tolist() == ["1.10", "1.2", "1.3", "1.10", "1.1", "2.0"]
    assert table["rlnTomoName"].tolist() == ["1e5", "2e5", "3e5", "12e3", "9e9", "1e5"]
    assert table["rlnBeamTiltClassName"].tolist() == ["12345678901234567890", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize("file", ["trailing.star", "bom.star"])
def test_comments_behind_rows_and_byte_order_marks(cases: Path, file: str) -> None:
    stack = read_particles(cases / "15-trailing-comment-bom" / file)
    assert stack.n == 6
    np.testing.assert_allclose(stack.table["rlnAngleRot"], [-149.166, -24.074, -39.158, 164.256, -179.464, 30.659])
    assert stack.table.columns[-1] == "rlnPhaseShift"


def test_poses_in_pixels_are_refused(cases: Path) -> None:
    folder = cases / "09-poses-pixels"
    with pytest.raises(InputError, match=r"pose_pixels.pkl: the shift of particle 1 is .*; expected a fraction of the"):
        read_particles(folder / "p.mrcs", poses=folder / "pose_pixels.pkl", ctf=folder / "ctf9.pkl")
    stack = read_particles(folder / "p.mrcs", poses=folder / "pose_fraction.pkl", ctf=folder / "ctf9.pkl")
    assert stack.table.loc[0, ["rlnOriginXAngst", "rlnOriginYAngst"]].tolist() == pytest.approx(
        [10.583, -2.983], abs=1e-3
    )


def test_labels_without_a_head_are_told(cases: Path, tmp_path: Path) -> None:
    folder = cases / "25-labels-without-head"
    with pytest.raises(InputError, match=r"labels_noheader.csv: no header row: it begins with '3'; expected the names"):
        read_labels(folder / "labels_noheader.csv")
    (tmp_path / "words.csv").write_text("open\nclosed\nopen\nclosed\n")
    with pytest.raises(InputError, match=r"words.csv: no header row: it begins with 'open'"):
        read_labels(tmp_path / "words.csv")
    text = "state\n" + (folder / "labels_noheader.csv").read_text()
    (tmp_path / "headed.csv").write_text(text)
    assert len(read_labels(tmp_path / "headed.csv")[1]) == 240
