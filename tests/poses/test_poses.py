"""poses: errors of any program's poses, and a search by a stand-in for RELION that checks what it is given."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cryoprior import cli
from cryoprior.errors import InputError
from cryoprior.io import read_map, read_particles, read_star, write_map, write_stack, write_star
from cryoprior.io.formats.columns import ANGLES
from cryoprior.poses import command as poses
from cryoprior.poses import files as poses_files
from cryoprior.poses import search as poses_search
from cryoprior.poses.reference import find_scale
from cryoprior.poses.search import PoseSearch
from kit.folders import shown
from kit.projected_views import draw_blobs, draw_views, project_views

N, BOX, PIXEL, SCALE, OFFSET = 200, 32, 6.0, 0.5, 7.0
VOLUME = draw_blobs(BOX, seed=1)

STAND_IN = '''#!{python} -IS
"""What RELION would do: look at its input, and leave poses that the test wrote beforehand."""
import os, sys
words = sys.argv[1:]
if words == ["--version"]:
    sys.exit(print("RELION version: 3.1.9") or 0)
folder, given = os.environ["STAND_IN"], dict(zip(words, words[1:]))
with open(folder + "/calls.txt", "a") as calls:
    calls.write(" ".join(words) + "\\n")
if os.environ.get("STAND_IN_FAILS", "none") in given["--o"]:
    sys.exit("ERROR: nothing went well")
text = open(given["--i"]).read()
names = [word for word in text.split() if "@" in word]
assert all(os.path.isfile(name.split("@")[1]) for name in names), "stacks are found from the working folder"
assert os.path.isfile(given["--ref"]) and os.path.isdir(os.path.dirname(given["--o"]))
assert "--skip_maximize" in words and "--ctf_corrected_ref" in words and given["--iter"] == "1"
local = "--sigma_ang" in words
assert ("rlnAngleRot" in text) == local, "the global search may not see any pose"
lines = open(folder + ("/local.star" if local else "/global.star")).read().splitlines()
rows = [line for line in lines if "@" in line and line.split()[0] in names]
with open(given["--o"] + "_it001_data.star", "w") as data:
    data.write("\\n".join([line for line in lines if "@" not in line] + rows[::-1]) + "\\n")
'''


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of particles with poses, bright (``truth.star``) and dark (``dark.star``), and their map."""
    folder, rng = tmp_path_factory.mktemp("poses"), np.random.default_rng(0)
    table, optics = draw_views(rng, "truth.mrcs", N, BOX, PIXEL)
    table["rlnRandomSubset"] = 1
    write_star(folder / "truth.star", table, optics)
    signal = project_views(VOLUME, table, optics)
    noise = 3 * rng.normal(size=signal.shape)
    for name, sign in (("truth", 1), ("dark", -1)):
        write_stack(folder / f"{name}.mrcs", (SCALE * (sign * signal + noise) + OFFSET).astype(np.float32), PIXEL)
    dark = table.assign(rlnImageName=[f"{i + 1:06d}@dark.mrcs" for i in range(N)])
    write_star(folder / "dark.star", dark, optics)
    write_map(folder / "map.mrc", VOLUME, PIXEL)
    return folder


@pytest.fixture
def calls(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a stand-in that is 3 degrees and 1.5 A off alone on the PATH; return the file of its command lines."""
    program = tmp_path / "bin" / "relion_refine"
    program.parent.mkdir()
    program.write_text(STAND_IN.replace("{python}", sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("STAND_IN", str(tmp_path))
    blocks = read_star(made / "truth.star")
    table = blocks["particles"]
    table["rlnImageName"] = [f"{i + 1:06d}@particles.mrcs" for i in range(N)]
    table["rlnOriginXAngst"] += 1.5
    table["rlnMaxValueProbDistribution"] = 0.75
    for name, turn in (("global", 11.0), ("local", 3.0)):
        write_star(tmp_path / f"{name}.star", table.assign(rlnAnglePsi=table["rlnAnglePsi"] + turn), blocks["optics"])
    return tmp_path / "calls.txt"


@pytest.fixture(autouse=True)
def _undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "without_images" not in request.node.name:  # a picture takes longer than all the rest
        monkeypatch.setattr(poses_files, "pose_histograms", lambda angle, shift: b"")


def search(made: Path, output: Path, **options: Any) -> dict[str, Any]:
    given = {"particles": made / "truth.star", "truth": made / "truth.star", "reference_map": made / "map.mrc"}
    return poses.run(poses.Options(output=output, **{"mode": "search", **given, **options}))


def found_star(made: Path, path: Path, **changes: Any) -> Path:
    """Write the true particles with other poses: ``order``, ``psi`` degrees and ``x`` angstrom added."""
    path.parent.mkdir(exist_ok=True)
    blocks = read_star(made / "truth.star")
    table = blocks["particles"]
    table["rlnAnglePsi"] += changes.get("psi", 0.0)
    table["rlnOriginXAngst"] += changes.get("x", 0.0)
    write_star(path, table.iloc[changes.get("order", slice(None))], blocks["optics"])
    return path


def test_poses_of_any_program_are_compared_without_images_or_relion(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    star = found_star(made, tmp_path / "found.star", psi=4.0, x=-3.0)
    summary = poses.run(poses.Options(estimated=star, truth=made / "truth.star", output=tmp_path / "out"))
    assert summary["n"] == N
    assert summary["median_angle_deg"] == pytest.approx(4, abs=1e-9)
    assert summary["mean_angle_deg"] == pytest.approx(4, abs=1e-9)
    assert summary["median_shift_angstrom"] == pytest.approx(3)
    assert summary["median_shift_pixel"] == pytest.approx(3 / PIXEL)
    assert summary["above_30_deg"] == 0
    assert summary["hand_flipped"] is False
    written = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert written["median_angle_deg"] == summary["median_angle_deg"]
    table = pd.read_csv(tmp_path / "out" / "pose_errors.csv")
    np.testing.assert_allclose(table["angle_deg"], 4, atol=1e-6)
    assert table["image"][2] == "000003@truth.mrcs"
    assert (tmp_path / "out" / "pose_errors.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out" / "provenance.json").is_file()


def test_rows_in_another_order_are_matched_by_name_and_other_names_by_place(made: Path, tmp_path: Path) -> None:
    star = found_star(made, tmp_path / "found.star", psi=4.0, order=slice(None, None, -1))
    options = {"truth": made / "truth.star", "output": tmp_path / "out", "overwrite": True}
    summary = poses.run(poses.Options(estimated=star, **options))
    assert summary["matched_by"] == "image name"
    assert summary["median_angle_deg"] == pytest.approx(4, abs=1e-9)
    text = star.read_text().replace("@truth.mrcs", "@others.mrcs")
    star.write_text(text)
    summary = poses.run(poses.Options(estimated=star, **options))
    assert summary["matched_by"] == "place"
    assert summary["median_angle_deg"] > 60


def test_some_of_the_particles_are_enough_and_others_are_refused(made: Path, tmp_path: Path) -> None:
    star = found_star(made, tmp_path / "found.star", psi=4.0, order=slice(100, 9, -3))
    options = {"estimated": star, "truth": made / "truth.star", "output": tmp_path / "out"}
    summary = poses.run(poses.Options(**options))
    assert summary["n"] == 31
    assert summary["median_angle_deg"] == pytest.approx(4, abs=1e-9)
    star.write_text(star.read_text().replace("000050@truth.mrcs", "000250@truth.mrcs"))
    message = (
        r"truth.star: 1 of the 31 particles of .*found.star are not in it, by image name, first particle 18 \(0002"
    )
    with pytest.raises(InputError, match=message):
        poses.run(poses.Options(**options, overwrite=True))


def test_a_flipped_hand_and_a_frame_are_told(made: Path, tmp_path: Path) -> None:
    star = found_star(made, tmp_path / "found.star", psi=183.0)
    options = {"truth": made / "truth.star", "overwrite": True}
    summary = poses.run(poses.Options(estimated=star, output=tmp_path / "a", **options))
    assert summary["hand_flipped"] is True
    assert summary["median_angle_other_hand_deg"] == pytest.approx(3, abs=1e-9)
    blocks = read_star(made / "truth.star")
    blocks["particles"]["rlnAngleRot"] += 50  # a turn about z, from the left
    write_star(star, blocks["particles"], blocks["optics"])
    summary = poses.run(poses.Options(estimated=star, output=tmp_path / "b", align=True, **options))
    assert summary["median_angle_deg"] == pytest.approx(0, abs=1e-6)
    assert summary["frame_turn_deg"] == pytest.approx(50)
    blocks["particles"]["rlnAngleRot"] += 70  # 120 degrees in all: a mate under C3
    write_star(star, blocks["particles"], blocks["optics"])
    summary = poses.run(poses.Options(estimated=star, output=tmp_path / "c", symmetry="c3", **options))
    assert summary["median_angle_deg"] == pytest.approx(0, abs=1e-6)


def test_a_search_is_two_calls_of_relion_and_its_poses_are_scored(made: Path, tmp_path: Path, calls: Path) -> None:
    output = tmp_path / "out"
    summary = search(made, output, threads=3, symmetry="c1", lowpass=18.0)
    first, second = (line.split() for line in calls.read_text().splitlines())
    for words, expected in (
        (first, {"--healpix_order": "2", "--offset_range": "4", "--offset_step": "2.0"}),
        (second, {"--healpix_order": "4", "--offset_range": "3.0", "--offset_step": "1.0", "--sigma_ang": "5.0"}),
    ):
        given = dict(itertools.pairwise(words))
        assert {name: given[name] for name in expected} == expected
        assert given["--j"] == "3"
        assert given["--sym"] == "C1"
        assert float(given["--ini_high"]) == pytest.approx(18.0)
    assert summary["median_angle_deg"] == pytest.approx(3, abs=1e-5)
    assert summary["median_shift_angstrom"] == pytest.approx(1.5, abs=1e-5)
    assert (summary["mode"], summary["relion_version"], summary["contrast"]) == ("search", "3.1.9", "bright")
    assert summary["reference_scale"] == pytest.approx(SCALE, rel=0.15)
    assert summary["seconds"] > 0
    table = pd.read_csv(output / "pose_errors.csv")
    assert (table["probability"] == 0.75).all()
    estimated, truth = read_particles(output / "poses.star"), read_particles(made / "truth.star")
    np.testing.assert_array_equal(estimated.read([5]), truth.read([5]))  # the stacks are found from the output
    np.testing.assert_allclose(estimated.poses()[1], truth.poses()[1] + [1.5, 0], atol=1e-9)
    given = read_star(output / "relion" / "input" / "particles.star")["particles"]
    assert not set(ANGLES) & set(given.columns)
    assert "rlnRandomSubset" not in given
    assert (output / "relion" / "global.log").is_file()
    assert (output / "relion" / "local.log").is_file()


def test_the_images_get_the_sign_of_the_map_and_the_map_their_scale(made: Path, tmp_path: Path, calls: Path) -> None:
    summaries = {name: search(made, tmp_path / name, particles=made / f"{name}.star") for name in ("truth", "dark")}
    assert [summaries[name]["contrast"] for name in ("truth", "dark")] == ["bright", "dark"]
    assert min(s["contrast_clearness"] for s in summaries.values()) > 4
    for name, sign in (("truth", 1), ("dark", -1)):
        folder = tmp_path / name / "relion" / "input"
        images = read_particles(folder / "particles.star").read(slice(None))
        original = read_particles(made / f"{name}.star").read(slice(None))
        assert np.corrcoef(images.ravel(), sign * original.ravel())[0, 1] > 0.99
        assert abs(float(images[:, :3].mean())) < 0.05  # the background is 0 and its deviation 1
        assert float(images[:, :3].std()) == pytest.approx(1, abs=0.05)
        reference, _ = read_map(folder / "reference.mrc")
        noise = 3 * SCALE
        assert float((reference * VOLUME).sum() / np.square(VOLUME).sum()) * noise == pytest.approx(SCALE, rel=0.15)
    assert calls.is_file()


def test_the_scale_is_found_whatever_the_poses(made: Path) -> None:
    particles = read_particles(made / "dark.star")
    scale = find_scale(particles, VOLUME, 13.0)
    assert scale.factor == pytest.approx(-SCALE, rel=0.15)
    assert scale.noise == pytest.approx(3 * SCALE, rel=0.05)
    assert scale.clear
    assert find_scale(particles, -2 * VOLUME, 13.0).factor == pytest.approx(-scale.factor / 2, rel=1e-5)


def test_what_relion_finished_is_not_run_again(
    made: Path, tmp_path: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    monkeypatch.setenv("STAND_IN_FAILS", "local")
    with pytest.raises(InputError, match=r"(?s)relion_refine failed \(1\); its log is .*local\.log.*nothing went well"):
        search(made, output)
    assert not (output / "poses.star").exists()
    assert not (output / "summary.json").exists()
    assert not (output / "relion" / "local").exists()
    monkeypatch.delenv("STAND_IN_FAILS")
    search(made, output)
    assert ["--sigma_ang" in line for line in calls.read_text().splitlines()] == [False, True, True]
    search(made, output, align=True)  # how errors are told is no part of the search
    assert len(calls.read_text().splitlines()) == 3
    with pytest.raises(InputError, match="in use by a run with other lowpass; pass another output, or overwrite"):
        search(made, output, lowpass=25.0)
    search(made, output, lowpass=25.0, overwrite=True)
    assert len(calls.read_text().splitlines()) == 5
    assert shown(tmp_path) == {"bin", "calls.txt", "global.star", "local.star", "out"}
    estimated, truth = read_particles(output / "poses.star"), read_particles(made / "truth.star")
    np.testing.assert_array_equal(estimated.read([5]), truth.read([5]))  # though it was written under another name


def test_an_output_that_holds_what_is_read_is_refused(made: Path, tmp_path: Path, calls: Path) -> None:
    with pytest.raises(InputError, match="which this run reads"):
        search(made, made, overwrite=True)
    star = found_star(made, tmp_path / "own" / "found.star")
    with pytest.raises(InputError, match="which this run reads"):
        poses.run(poses.Options(estimated=star, truth=made / "truth.star", output=star.parent, overwrite=True))
    assert star.is_file()
    assert (made / "truth.star").is_file()
    assert not calls.exists()


def test_a_limit_takes_the_first_particles_of_both(made: Path, tmp_path: Path, calls: Path) -> None:
    assert search(made, tmp_path / "out", limit=150)["n"] == 150
    assert len(read_particles(tmp_path / "out" / "poses.star")) == 150
    assert calls.is_file()


def test_auto_refines_only_where_machine_and_particles_suffice(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    particles = read_particles(made / "truth.star")
    many = particles.subset(np.arange(1000) % N)
    monkeypatch.setattr(poses_search, "has_mpi", lambda: True)

    def mode(stack: Any, threads: int, asked: str = "auto") -> str:
        return PoseSearch(stack, made / "map.mrc", asked, "C1", 15, 2, 20, 160, "auto", threads).chosen_mode

    assert mode(many, 8) == "refine"
    assert mode(many, 7) == mode(particles, 8) == "search"
    assert mode(particles, 1, "refine") == "refine"
    monkeypatch.setattr(poses_search, "has_mpi", lambda: False)
    assert mode(many, 8) == "search"


def test_without_relion_the_command_says_how_to_get_it(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"RELION: no relion_refine on the PATH; .*apt-get install relion"):
        search(made, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_noise_has_no_contrast_to_go_by(made: Path, tmp_path: Path, calls: Path) -> None:
    particles = read_particles(made / "truth.star")
    images = np.random.default_rng(0).normal(size=(N, BOX, BOX)).astype(np.float32)
    write_stack(tmp_path / "truth.mrcs", images, PIXEL)
    write_star(tmp_path / "noise.star", particles.table, particles.optics)
    with pytest.raises(InputError, match=r"the sign of the contrast .* is not clear .* pass contrast=bright or dark"):
        search(made, tmp_path / "out", particles=tmp_path / "noise.star")
    search(made, tmp_path / "told", particles=tmp_path / "noise.star", contrast="dark")
    assert calls.is_file()


def test_inputs_that_do_not_belong_together_are_refused(made: Path, tmp_path: Path, calls: Path) -> None:
    star = found_star(made, tmp_path / "short.star", psi=4.0, order=slice(0, 9))
    star.write_text(star.read_text().replace("@truth.mrcs", "@others.mrcs"))
    with pytest.raises(InputError, match=r"200 particles; .*short\.star has 9, and nothing in both says which are the"):
        poses.run(poses.Options(estimated=star, truth=made / "truth.star", output=tmp_path / "a"))
    write_map(tmp_path / "other.mrc", VOLUME, 2 * PIXEL)
    with pytest.raises(InputError, match=r"12\.0000 A a voxel; expected 6\.0000, the grid of the particles"):
        search(made, tmp_path / "b", reference_map=tmp_path / "other.mrc")
    write_map(tmp_path / "small.mrc", VOLUME[4:28, 4:28, 4:28], PIXEL)
    with pytest.raises(InputError, match="24 x 24 x 24 voxels; expected 32 a side, the grid of the particles"):
        search(made, tmp_path / "b", reference_map=tmp_path / "small.mrc")
    blocks = read_star(made / "truth.star")
    write_star(tmp_path / "blind.star", blocks["particles"].drop(columns=list(ANGLES)), blocks["optics"])
    with pytest.raises(InputError, match="no rlnAngleRot, rlnAngleTilt, rlnAnglePsi; expected particles with poses"):
        poses.run(poses.Options(estimated=tmp_path / "blind.star", truth=made / "truth.star", output=tmp_path / "a"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="in use by something else"):
        search(made, tmp_path / "full")
    with pytest.raises(InputError, match="did not mark as its own"):
        search(made, tmp_path / "full", overwrite=True)
    assert (tmp_path / "full" / "thesis.tex").is_file()
    assert not calls.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "pass either particles, .* or estimated"),
        ({"particles": Path("a.star"), "estimated": Path("b.star")}, "pass either particles"),
        ({"particles": Path("a.star")}, "pass reference_map"),
        ({"estimated": Path("b.star"), "symmetry": "X"}, "expected a point group"),
        ({"estimated": Path("b.star"), "mode": "fast"}, "mode 'fast': expected one of"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        poses.Options(truth=Path("t.star"), output=Path("o"), **options)


def test_the_command_line_leaves_with_2_without_relion(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "poses" not in cli.COMMANDS:
        pytest.skip("the command is not listed yet")
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ["poses", made / "truth.star", "--truth", made / "truth.star", "--reference-map", made / "map.mrc"]
    with pytest.raises(SystemExit) as left:
        cli.main([*(str(word) for word in words), "-o", str(tmp_path / "out")])
    assert left.value.code == 2
    assert "apt-get install relion" in capsys.readouterr().err
