"""Cases 06, 08 and 26: which image a row means, and what cannot be meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.housekeeping import validate
from cryoprior.io import read_particles


@pytest.fixture
def cases(shared_data: Path) -> Path:
    return shared_data / "cases"


def test_tilt_series_are_refused(cases: Path) -> None:
    with pytest.raises(InputError, match=r"tilt-series particles .*stack of 2D tilts, are not one image a row"):
        read_particles(cases / "06-relion5-2d-stack" / "particles.star")


def test_stacks_without_a_number_are_refused(cases: Path, tmp_path: Path) -> None:
    folder = cases / "06-relion5-2d-stack"
    text = (folder / "particles.star").read_text().replace("_rlnTomoSubTomosAre2DStacks                       1", "")
    (tmp_path / "particles.star").write_text(text.replace("data_general", ""))
    with pytest.raises(
        InputError, match=r"particle 1 has rlnImageName 'ps_1_stack2d.mrcs', a stack of 7 images; expec"
    ):
        read_particles(tmp_path / "particles.star", datadir=folder)


def test_the_longest_tail_of_a_path_is_found(cases: Path) -> None:
    folder = cases / "08-same-basename"
    means = read_particles(folder / "p.star", datadir=folder / "data").read().mean((1, 2))
    np.testing.assert_allclose(means, [101, 102, 103, 204, 205, 206], atol=0.5)


def test_two_stacks_that_become_one_are_refused(cases: Path) -> None:
    folder = cases / "08-same-basename"
    with pytest.raises(InputError, match=r"jobA/mic1.mrcs and /old/.*jobB/mic1.mrcs both become .*data/jobA/mic1.mrcs"):
        read_particles(folder / "p.star", datadir=folder / "data" / "jobA")


def test_defocus_in_micrometres_is_found(cases: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = cases / "26-defocus-in-micrometres" / "um.star"
    with pytest.raises(InputError, match=r"a defocus of at most 1.2 A for every particle; .* micrometres"):
        validate.run(validate.Options(path=path))
    read_particles(path)
    assert "a defocus of at most 1.2 A for every particle" in caplog.text
