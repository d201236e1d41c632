"""``cryoprior plan``: bytes and resolution of candidates, the front, and one recommendation."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.io import write_map
from cryoprior.planning import command as plan
from cryoprior.planning import opening
from cryoprior.planning.candidates import parse_candidate
from cryoprior.planning.cost import Rates
from cryoprior.planning.expecting import Expected
from cryoprior.planning.plan import Plan, Planned
from cryoprior.planning.spectrum import of_images
from cryoprior.planning.words import hours_text, recommendation, resolution_text
from cryoprior.simulation import command as simulate

BOX, PIXEL = 48, 5.0
FEW = ("float16", "quantize:bits=1", "fourier:compression=4,sets=8")


def spectrum_file(folder: Path) -> Path:
    shells = np.arange(1, BOX // 2 + 1)
    table = pd.DataFrame({"angstrom": BOX * PIXEL / shells, "snr": 0.3 * np.exp(-0.012 * shells**2)})
    table.to_csv(folder / "snr.csv", index=False)
    return folder / "snr.csv"


def options(folder: Path, **more: Any) -> plan.Options:
    given = {"spectrum": spectrum_file(folder), "box": BOX, "pixel_size": PIXEL, "n": 500, "candidate": FEW}
    return plan.Options(output=folder / "plan", **{**given, **more})


def planned(text: str, size: float, angstrom: float) -> Planned:
    expected = Expected(angstrom, angstrom - 0.2, angstrom + 0.2, nyquist_limited=False)
    return Planned(parse_candidate(text, BOX), size, expected, None, 100.0, 1.0, 1.0, 1.0)


def made_up(**more: Any) -> Plan:
    shells = np.arange(1, BOX // 2 + 1)
    spectrum = of_images(BOX * PIXEL / shells, np.exp(-0.01 * shells**2), BOX, PIXEL, 0.1)
    rows = [
        planned("float32", 9216, 10.0),
        planned("float16", 4608, 10.0),
        planned("quantize:bits=1", 288, 10.4),
        planned("fourier:compression=8", 1152, 13.0),
        planned("fourier:compression=8,bits=1", 36, 15.0),
    ]
    return Plan(1000, spectrum, rows, Rates(), **more)


def test_the_front_is_beaten_by_none() -> None:
    names = [row.candidate.name for row in made_up().front]
    assert names == ["fourier:compression=8,bits=1", "quantize:bits=1", "float16"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "quantize:bits=1"),
        ({"tolerance": 0.01}, "float16"),
        ({"tolerance": 0.6}, "fourier:compression=8,bits=1"),
        ({"target": 15.5}, "fourier:compression=8,bits=1"),
        ({"target": 10.1}, "float16"),
        ({"target": 5.0}, "float16"),
    ],
)
def test_the_smallest_that_is_good_enough_is_chosen(more: dict[str, float], expected: str) -> None:
    assert made_up(**more).chosen.candidate.name == expected


def test_the_recommendation_is_a_sentence() -> None:
    assert recommendation(made_up()) == (
        "Keep quantize:bits=1: 288 bytes a particle, 32 times less than whole images of 9,216; of 1,000 particles a "
        "map of 10.4 Å (10.2 to 10.6) is expected, where whole images give 10.0 Å (9.8 to 10.2), and moving them takes "
        "1 h in place of 1 h."
    )
    assert recommendation(made_up(target=5.0)).startswith("No candidate reaches 5 Å with 1,000 particles; the finest")
    nothing = replace(made_up(), rows=[planned("float32", 9216, np.inf)])
    assert recommendation(nothing).startswith("No map is to be expected of 1,000 particles")


def test_numbers_are_written_for_people() -> None:
    assert [hours_text(hours) for hours in (12.34, 0.05, 1e-4)] == ["12.3 h", "3 min", "0.36 s"]
    assert resolution_text(Expected(8.0, 8.0, np.inf, nyquist_limited=True)) == "≤ 8.0 Å (8.0 to no map)"


def test_hours_are_those_of_line_and_device() -> None:
    rates, way = Rates(10.0, 1e-3, 0.5), parse_candidate("quantize:bits=1", BOX)
    assert rates.hours_to_move(1e12) == pytest.approx(800 / 3600)
    assert rates.hours_to_map(way, 3_600_000, BOX) == pytest.approx(1.0)
    assert rates.hours_to_reconstruct(7200, BOX) == pytest.approx(1.0)
    assert Rates().hours_to_map(way, 1000, 128) == pytest.approx(4 * Rates().hours_to_map(way, 1000, 64))


def test_a_spectrum_is_planned_for(tmp_path: Path) -> None:
    summary = plan.run(options(tmp_path, tolerance=0.1))
    found = {row["name"]: row for row in summary["candidates"]}
    assert set(found) == {"float32", *FEW}
    for row in found.values():
        assert {"bytes", "resolution_angstrom", "effective_particles"} <= set(row)
        assert row["resolution_finest"] <= row["resolution_angstrom"] <= row["resolution_coarsest"]
        assert row["with_map_prior_angstrom"] < row["resolution_angstrom"]
    assert found["quantize:bits=1"]["bytes"] == BOX**2 / 8
    assert 0.55 < found["quantize:bits=1"]["effective_particles"] / 500 < 0.66
    assert found["fourier:compression=4,sets=8"]["resolution_angstrom"] > found["float16"]["resolution_angstrom"]
    assert summary["recommended"] == "quantize:bits=1"
    assert json.loads((tmp_path / "plan/summary.json").read_text())["candidates"] == summary["candidates"]
    assert {"report.html", "front.png", "candidates.csv", "spectrum.csv", "provenance.json"} <= {
        path.name for path in (tmp_path / "plan").iterdir()
    }
    assert summary["says"] in (tmp_path / "plan/report.html").read_text()
    table = pd.read_csv(tmp_path / "plan/candidates.csv")
    assert table["name"].tolist() == ["float32", *FEW]


def test_the_same_plan_twice_is_the_same(tmp_path: Path) -> None:
    first = plan.run(options(tmp_path))
    again = plan.run(options(tmp_path, overwrite=True))
    assert first == again


def test_pixels_that_the_map_prior_never_saw_leave_it_out(tmp_path: Path) -> None:
    summary = plan.run(options(tmp_path, pixel_size=50.0, spectrum=coarse(tmp_path)))
    assert {row["with_map_prior_angstrom"] for row in summary["candidates"]} == {None}
    assert "the map prior was trained at" in (tmp_path / "plan/report.html").read_text()


def coarse(folder: Path) -> Path:
    path = folder / "coarse.csv"
    shells = np.arange(1, BOX // 2 + 1)
    table = pd.DataFrame({"angstrom": BOX * 50 / shells, "snr": 0.3 * np.exp(-0.012 * shells**2)})
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def particles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sim")
    axis = np.arange(BOX) - BOX // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    centres = np.random.default_rng(1).normal(scale=6, size=(30, 3))
    blobs = sum(np.exp(-((z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2) / 3) for a, b, c in centres)
    write_map(folder / "blobs.mrc", np.asarray(blobs, np.float32), PIXEL)
    simulate.run(
        simulate.Options(
            structures=(folder / "blobs.mrc",), output=folder / "sim", n=300, box=BOX, pixel_size=PIXEL, snr=0.2
        )
    )
    return folder / "sim" / "particles.star"


def test_a_pilot_of_particles_is_planned_from(particles: Path, tmp_path: Path) -> None:
    given = {"particles": particles, "output": tmp_path / "plan", "candidate": FEW, "pilot": 200, "threads": 1}
    summary = plan.run(plan.Options(**given, n=30_000))
    assert summary["n"] == 30_000
    assert summary["signal_and_noise"] == "half maps of 200 particles of particles.star"
    found = {row["name"]: row["resolution_angstrom"] for row in summary["candidates"]}
    assert 2 * PIXEL <= found["float32"] <= found["quantize:bits=1"] <= found["fourier:compression=4,sets=8"] < 40
    own = plan.run(plan.Options(**{**given, "output": tmp_path / "own"}))
    assert own["n"] == 300
    assert own["candidates"][0]["resolution_angstrom"] > found["float32"]


def test_an_output_in_use_is_refused_before_the_pilot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan/thesis.txt").write_text("mine")
    monkeypatch.setattr(plan, "_opened", lambda given: pytest.fail("the pilot was read"))
    with pytest.raises(InputError, match="the output is in use"):
        plan.run(options(tmp_path))


def test_a_misspelt_candidate_is_refused_before_the_pilot(
    particles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "run_pilot", None)
    with pytest.raises(InputError, match="no encoding or operator is called 'tiff'"):
        plan.run(plan.Options(particles=particles, output=tmp_path / "plan", candidate=("tiff",), threads=1))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"particles": Path("p.star")}, "particles or spectrum: expected one of them"),
        ({"spectrum": None}, "particles or spectrum: expected one of them"),
        ({"n": None}, "spectrum without n:"),
        ({"box": None}, "spectrum without box:"),
        ({"bandwidth": 0.0}, "bandwidth 0: expected a number above 0"),
        ({"target": -3.0}, "target -3: expected a number above 0"),
        ({"candidate": ("quantize:bits=33",)}, "bits=33; expected 1 to 8"),
        ({"diameter": 1e4}, "diameter 10000: a box of 240 angstrom holds less"),
    ],
)
def test_bad_options_are_one_line(more: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        plan.run(options(tmp_path, **more))
    assert not (tmp_path / "plan").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("angstrom,power\n20,1\n", "without snr"),
        ("angstrom,snr\n20,1\n10,-1\n", "row 2 holds no numbers above 0"),
        ("angstrom,snr\n20,x\n", "row 1 holds no numbers above 0"),
        ("angstrom,snr\n20,1\n20,2\n", "2 rows; expected 2 or more of different resolution"),
    ],
)
def test_a_spectrum_that_is_none_is_refused(text: str, message: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(text)
    with pytest.raises(InputError, match=message):
        plan.run(options(tmp_path, spectrum=bad))


def test_a_stack_without_poses_is_refused(tmp_path: Path) -> None:
    images = torch.randn(60, 16, 16, generator=torch.Generator().manual_seed(0)).numpy()
    write_map(tmp_path / "stack.mrcs", images, PIXEL)
    with pytest.raises(InputError, match=r"no poses .*refine them first"):
        plan.run(plan.Options(particles=tmp_path / "stack.mrcs", pixel_size=PIXEL, output=tmp_path / "plan"))
