"""Case 16: poses in one file of a cryoSPARC job, images and CTF in another, joined by uid."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.io import ParticleStack, read_particles

MAIN, PASSTHROUGH = "J11_class_00_00262_particles.cs", "J11_passthrough_particles_class_0.cs"


@pytest.fixture
def case(shared_data: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(shared_data / "cases" / "16-cs-passthrough", folder, copy_function=shutil.copyfile)
    return folder / "J11"


def check(stack: ParticleStack, truth: ParticleStack) -> None:
    by_uid = truth.table.set_index("cryosparcUid")
    rows = [by_uid.index.get_loc(uid) for uid in stack.table["cryosparcUid"]]
    for name in ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst", "rlnDefocusU"):
        np.testing.assert_allclose(stack.table[name], truth.table[name].to_numpy()[rows], rtol=1e-9, err_msg=name)
    np.testing.assert_allclose(stack.read(), truth.read()[rows])


@pytest.mark.parametrize("given", [MAIN, PASSTHROUGH])
def test_the_job_s_other_file_is_found_and_joined_by_uid(
    case: Path, given: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "cryoprior"):
        stack = read_particles(case / given)
    other = PASSTHROUGH if given == MAIN else MAIN
    assert f"{given}: joined by uid with {other}" in caplog.text
    check(stack, read_particles(case / "joined_truth.cs"))


def test_images_are_those_of_the_main_file_s_rows(case: Path) -> None:
    means = read_particles(case / MAIN).read().astype(np.float64).mean((1, 2))
    np.testing.assert_allclose(means, [1, 2, 3, 4, 5, 6], atol=0.1)


def test_it_may_lie_elsewhere_and_be_named(case: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "other.cs"
    elsewhere.parent.mkdir()
    (case / PASSTHROUGH).rename(elsewhere)
    with pytest.raises(InputError, match=r"no passthrough file of the same job .* lies beside it; pass it with"):
        read_particles(case / MAIN)
    check(read_particles(case / MAIN, passthrough=elsewhere), read_particles(case / "joined_truth.cs"))


def test_a_passthrough_alone_says_that_poses_are_missing(case: Path, caplog: pytest.LogCaptureFixture) -> None:
    (case / MAIN).unlink()
    with caplog.at_level(logging.WARNING, "cryoprior"):
        stack = read_particles(case / PASSTHROUGH)
    assert stack.poses() is None
    assert "a passthrough file without poses; what its job made lies elsewhere" in caplog.text


def test_two_that_may_be_it_are_asked_for(case: Path) -> None:
    shutil.copyfile(case / PASSTHROUGH, case / "J11_passthrough_particles_class_1.cs")
    with pytest.raises(InputError, match=r"2 may be that: J11_passthrough_particles_class_0.cs, .*class_1.cs"):
        read_particles(case / MAIN)


def test_files_of_other_particles_are_not_joined(case: Path) -> None:
    rows = np.load(case / PASSTHROUGH)
    rows["uid"][2] += 1
    with (case / PASSTHROUGH).open("wb") as file:
        np.save(file, rows)
    with pytest.raises(InputError, match=r"no passthrough file of the same job"):
        read_particles(case / MAIN)
    with pytest.raises(InputError, match=r"1 of 6 particles have no row in .*class_0.cs \(the first is uid \d+\)"):
        read_particles(case / MAIN, passthrough=case / PASSTHROUGH)
    rows["uid"] = rows["uid"][0]
    with (case / PASSTHROUGH).open("wb") as file:
        np.save(file, rows)
    with pytest.raises(InputError, match=r"a uid stands in two rows; expected each once"):
        read_particles(case / MAIN, passthrough=case / PASSTHROUGH)


def test_it_goes_with_no_other_format(shared_data: Path) -> None:
    with pytest.raises(InputError, match=r"passthrough was given; it goes with cryoSPARC's .cs files alone"):
        read_particles(shared_data / "real" / "relion31.star", passthrough=Path("a.cs"))
