"""What particles are worth: nested subsets, curves of maps, equal and noisier particles, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cryoprior import cli
from cryoprior.errors import InputError
from cryoprior.io import write_map, write_stack, write_star
from cryoprior.io.formats.columns import ANGLES, ORIGINS
from cryoprior.maps.judgement import judge_maps
from cryoprior.maps.making import source_of
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.source import Source, Subset
from cryoprior.maps.sums import MapSettings
from cryoprior.maps.worth import (
    HALF_MAPS,
    SMALLEST_HALF,
    TRUTH,
    Curve,
    Point,
    Worth,
    check_enough,
    particle_subsets,
    particle_worth,
    reference_of,
    worth_summary,
)
from cryoprior.maps.worth_page import worth_picture, worth_section
from cryoprior.measurement import command as measure
from cryoprior.metrics.fsc import Resolution
from cryoprior.report.page import Picture, Table
from kit.projected_views import draw_blobs, draw_views, project_views

N, BOX, PIXEL = 800, 24, 4.0
SETTINGS = MapSettings(batch=200)


def volume() -> np.ndarray:
    return draw_blobs(BOX, 0, n=40, spread=2.6, variance=0.6)


@pytest.fixture(scope="module")
def views() -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray, np.ndarray]:
    """Return tables of particles and optics, their images, and noise of the same size."""
    rng = np.random.default_rng(0)
    table, optics = draw_views(rng, "p.mrcs", N, BOX, PIXEL)
    images = project_views(volume(), table, optics, ctf=False)
    return table, optics, images, 4 * images.std() * rng.normal(size=images.shape)


def source(views: tuple[pd.DataFrame, pd.DataFrame, np.ndarray, np.ndarray], noise: float) -> Source:
    table, _, images, drawn = views
    origin = table[list(ORIGINS)].to_numpy() / PIXEL
    given = {"pixel_size": PIXEL, "origin_pixel": origin, "ctf": None, "half": None}
    seen = (images + noise * drawn).astype(np.float32)
    return source_of(seen, table[list(ANGLES)].to_numpy(), None, None, None, 0.0, given)


def worth_of(name: str, particles: Source, truth: bool = True, seed: int = 0) -> Worth:
    mask = judge_maps(solve_maps(particles, SETTINGS)).mask
    return particle_worth(name, particles, SETTINGS, mask, volume() if truth else None, seed)


def test_subsets_are_nested_balanced_and_seeded() -> None:
    half = np.where(np.arange(1000) < 430, 2, 1)
    subsets = list(particle_subsets(half, seed=3))
    assert [len(rows) for rows in subsets] == [500, 249, 124][: len(subsets)]
    assert len(subsets) == 3
    before = np.arange(1000)
    for rows in subsets:
        assert set(rows) <= set(before)
        assert (np.diff(rows) > 0).all()
        assert (half[rows] == 2).sum() / len(rows) == pytest.approx(0.43, abs=0.01)
        before = rows
    assert min((half[subsets[-1]] == h).sum() for h in (1, 2)) >= SMALLEST_HALF
    again, other = list(particle_subsets(half, seed=3)), list(particle_subsets(half, seed=4))
    np.testing.assert_array_equal(subsets[2], again[2])
    assert not np.array_equal(subsets[2], other[2])


def test_a_curve_has_the_maps_of_all_particles_and_of_each_subset_and_is_the_same_again(views: tuple) -> None:
    particles = source(views, 1.0)
    found = worth_of("map", particles)
    assert [point.n for point in found.curves[HALF_MAPS].points] == [800, 400, 200, 100]
    whole = solve_maps(particles, SETTINGS)
    judged = judge_maps(whole, None, volume())
    assert found.curves[HALF_MAPS].points[0].resolution == judged.resolution
    assert judged.truth is not None
    assert found.curves[TRUTH].points[0].resolution == judged.truth.resolution
    given = particle_worth("map", particles, SETTINGS, judged.mask, volume(), 0, (whole, judged))
    assert given.curves == found.curves
    angstrom = found.curves[TRUTH].arrays()[1]
    assert (np.diff(angstrom) > 0).all()  # fewer particles, coarser
    assert TRUTH not in worth_of("map", particles, truth=False).curves


def test_equal_particles_are_worth_one_and_twice_the_noise_power_a_half(views: tuple) -> None:
    full, noisy = worth_of("full", source(views, 1.0)), worth_of("noisy", source(views, 2**0.5))
    for criterion in (HALF_MAPS, TRUTH):
        same = full.curves[criterion].exchange(full.curves[criterion])
        assert same is not None
        assert same.ratio == pytest.approx(1)
    half = noisy.curves[TRUTH].exchange(full.curves[TRUTH])
    assert half is not None
    assert half.ratio == pytest.approx(0.5, abs=0.1)
    assert half.low <= 0.5 <= half.high or half.high - half.low < 0.2


def curve(angstrom: list[float], left_out: str = "") -> Curve:
    n = [800 // 2**i for i in range(len(angstrom))]
    out = [left_out] + [""] * (len(n) - 1)
    return Curve(tuple(Point(k, Resolution(d, bool(o)), o) for k, d, o in zip(n, angstrom, out, strict=True)))


def test_points_at_nyquist_are_left_out_and_too_few_points_are_said() -> None:
    limited = curve([8.0, 8.5, 10.0], "limited by Nyquist")
    fit = limited.fit()
    assert isinstance(fit, str)
    assert "2 usable points" in fit
    worths = [Worth("map", {HALF_MAPS: limited}), Worth("full particles", {HALF_MAPS: curve([7.0, 8.2, 9.0, 11.0])})]
    reference = reference_of(worths, ("full particles",))
    numbers = worth_summary(worths, reference)
    assert numbers["reference"] == "full particles"
    first = numbers["maps"]["map"][HALF_MAPS]
    assert first["b_factor_angstrom2"] is None
    assert (first["points"], first["points_used"]) == (3, 2)
    assert "2 usable points" in first["no_b_factor"]
    assert 0 < first["worth_range"][0] <= first["worth_particles"] <= first["worth_range"][1]
    assert "worth_particles" not in numbers["maps"]["full particles"][HALF_MAPS]
    json.dumps(numbers)
    section = worth_section(worths, reference, prior_inside=True)
    picture, table = section.blocks
    assert isinstance(picture, Picture)
    assert isinstance(table, Table)
    assert "share the prior" in picture.caption
    assert table.rows[0][2:4] == ["2 of 3", "no line: 2 usable points of 2 numbers of particles"]
    assert table.rows[1][4] == "1 (the measure)"
    assert worth_picture(worths).startswith(b"\x89PNG")


def test_a_map_without_signal_has_no_resolution_to_count() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(400, 16, 16)).astype(np.float32)
    given = {"pixel_size": PIXEL, "origin_pixel": None, "ctf": None, "half": None}
    angles = rng.uniform(0, 180, (400, 3))
    found = particle_worth(
        "noise", source_of(noise, angles, None, None, None, 0.0, given), SETTINGS, torch.ones(16, 16, 16)
    )
    points = found.curves[HALF_MAPS].points
    assert [point.n for point in points] == [400, 200, 100]
    assert any("undetermined" in point.left_out for point in points)
    assert all(point.left_out or point.resolution.angstrom < 16 * PIXEL for point in points)


def test_there_is_no_measure_without_another_map() -> None:
    one = Worth("full particles", {HALF_MAPS: curve([7.0, 8.0, 9.0])})
    assert reference_of([one], ("full particles",)) is None
    other = Worth("map", one.curves)
    assert reference_of([other, one], ("full particles", "map")) is one
    assert reference_of([other, other], ("full particles",)) is None


def test_too_few_particles_are_refused_before_maps_are_made(views: tuple) -> None:
    few = Subset(source(views, 1.0), np.arange(399))
    with pytest.raises(InputError, match="200 and 199 particles in the half sets; expected at least 200 in each"):
        check_enough(few)
    check_enough(Subset(source(views, 1.0), np.arange(400)))


def test_the_command_writes_what_particles_are_worth(views: tuple, tmp_path: Path) -> None:
    table, optics, images, noise = views
    write_stack(tmp_path / "p.mrcs", (images + noise).astype(np.float32), PIXEL)
    write_star(tmp_path / "p.star", table.drop(columns=["rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle"]), optics)
    write_map(tmp_path / "truth.mrc", volume(), PIXEL)
    y = tmp_path / "y.zarr"
    measure.run(
        measure.Options(particles=tmp_path / "p.star", output=y, operator="fourier:pattern=uniform,compression=2")
    )
    out = tmp_path / "map"
    words = [
        y,
        "-o",
        out,
        "--truth",
        tmp_path / "truth.mrc",
        "--worth",
        "--local-resolution",
        "--limit",
        400,
        "--batch",
        200,
    ]
    with pytest.raises(SystemExit) as left:
        cli.main(["map", *map(str, words), "--controls", str(tmp_path / "p.star")])
    assert left.value.code == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["worth"]["reference"] == "full particles"
    measured = summary["worth"]["maps"]["prior-free, from the measurements"][TRUTH]
    assert 0.2 < measured["worth_particles"] < 0.9  # every other coefficient
    points = pd.read_csv(out / "worth.csv")
    assert set(points["criterion"]) == {HALF_MAPS, TRUTH}
    mine = points[(points["map"] == "prior-free, from the measurements") & (points["criterion"] == TRUTH)]
    assert list(mine["n"]) == [400, 200, 100]
    assert mine["resolution_angstrom"].iloc[0] == pytest.approx(summary["truth"]["fsc_05_angstrom"], rel=1e-4)
    assert "Particles and resolution" in (out / "report.html").read_text()
    assert {"worth.png", "local_resolution.mrc", "map.cxc"} <= {path.name for path in out.iterdir()}
    assert summary["local_resolution"]["outside"] == 0


def test_the_command_refuses_too_few_in_one_line(
    views: tuple, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, optics, images, _ = views
    write_stack(tmp_path / "p.mrcs", images[:60].astype(np.float32), PIXEL)
    write_star(tmp_path / "p.star", table.iloc[:60], optics)
    with pytest.raises(SystemExit) as left:
        cli.main(["map", str(tmp_path / "p.star"), "-o", str(tmp_path / "map"), "--worth"])
    assert left.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "30 and 30 particles in the half sets; expected at least 200 in each" in said
    assert "leave out --worth" in said
    assert not (tmp_path / "map").exists()
