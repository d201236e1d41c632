"""What benchmarks of maps share: made particles, symmetric maps, amplitudes, and the numbers that their tables say."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cost import backprojection
from benchmarks.cost import map_prior as map_prior_cost
from benchmarks.cost.backprojection import GRIDDING, PLAIN, Run
from benchmarks.kit.floors import FLOORS, HalfMaps
from benchmarks.kit.maps import amplitude_ratio, symmetrised
from benchmarks.kit.particles import VIEWS, particle_tables, project, write_particles
from benchmarks.maps import deviation as deviation_table
from benchmarks.maps import harm, map_prior_noise, map_prior_page, relion_refinement, ribosome_tilts, views_and_numbers
from benchmarks.maps import referee as benchmark_referee
from benchmarks.maps.views_and_numbers import Case

from cryoprior.image import project_particles
from cryoprior.image.symmetry import point_group
from cryoprior.io import read_particles
from cryoprior.maps import MapSet
from cryoprior.prior.volume.sampling import mean_and_deviation
from cryoprior.referee.deviation import PriorDeviation
from cryoprior.referee.judging import judge_prior
from kit.half_maps import D, Halves, particle, shell_power

BOX, PIXEL = 16, 3.0


def blob(seed: int = 0, box: int = BOX) -> torch.Tensor:
    """Return a smooth map without symmetry that vanishes at its edges."""
    axis = torch.arange(box, dtype=torch.float64) - box // 2
    grid = torch.meshgrid(axis, axis, axis, indexing="ij")
    centres = np.random.default_rng(seed).uniform(-box / 5, box / 5, (4, 3))
    return sum(
        (torch.exp(-sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) / 4) for centre in centres),
        torch.zeros(box, box, box, dtype=torch.float64),
    )


@pytest.mark.parametrize("box", [16, 17])
@pytest.mark.parametrize("symmetry", ["C2", "C4", "D2", "O"])
def test_a_symmetrised_map_looks_the_same_from_all_mates(symmetry: str, box: int) -> None:
    found = symmetrised(blob(box=box), symmetry)
    view = Rotation.from_euler("ZYZ", [20, 50, -70], degrees=True).as_matrix()
    angles = np.stack(
        [Rotation.from_matrix(mate @ view).as_euler("ZYZ", degrees=True) for mate in point_group(symmetry).numpy()]
    )
    images = project_particles(found.float(), torch.from_numpy(angles), torch.zeros(len(angles), 2))
    torch.testing.assert_close(images, images[:1].expand_as(images), rtol=0, atol=0.02 * float(images.max()))
    assert float((found - blob(box=box)).abs().max()) > 0.1


def test_a_group_that_does_not_fit_the_grid_is_refused() -> None:
    with pytest.raises(AssertionError, match="C3 turns voxels"):
        symmetrised(blob(), "C3")


@pytest.mark.parametrize(("views", "limit"), [("uniform", 180), ("tilt below 60", 60), ("tilt below 35", 35)])
def test_views_are_spread_evenly_over_their_cap(views: str, limit: float) -> None:
    tilts = VIEWS[views](np.random.default_rng(0), 20000)
    assert tilts.min() >= 0
    assert limit * 0.98 < tilts.max() <= limit
    middle = (1 + np.cos(np.radians(limit))) / 2
    assert (np.cos(np.radians(tilts)) > middle).mean() == pytest.approx(0.5, abs=0.02)


def test_views_from_the_side_are_around_one_axis() -> None:
    table, _ = particle_tables(200, BOX, PIXEL, np.random.default_rng(0), "from the side")
    assert set(table["rlnAngleTilt"]) == {90.0}
    assert table["rlnAngleRot"].std() > 80


def test_made_particles_are_read_back_with_half_sets_in_turn(tmp_path: Path) -> None:
    table, optics = particle_tables(6, BOX, PIXEL, np.random.default_rng(0))
    images = project(blob().float(), table, optics)
    read = read_particles(write_particles(tmp_path, images, table, optics))
    torch.testing.assert_close(torch.from_numpy(np.array(read.read())), images)
    assert list(read.table["rlnRandomSubset"]) == [1, 2, 1, 2, 1, 2]


def test_a_particle_is_projected_alike_in_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    table, optics = particle_tables(7, BOX, PIXEL, np.random.default_rng(0))
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal((7, BOX, BOX), np.float32))
    whole = project(blob().float(), table, optics, noise)
    monkeypatch.setattr("benchmarks.kit.particles.BATCH", 3)
    torch.testing.assert_close(project(blob().float(), table, optics, noise), whole)


def test_noise_does_not_change_the_amplitude_ratio() -> None:
    truth = torch.randn(24, 24, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = torch.randn(24, 24, 24, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert amplitude_ratio(0.7 * truth, truth)[1:12].numpy() == pytest.approx(0.7)
    assert amplitude_ratio(0.7 * truth + noise, truth)[4:12].numpy() == pytest.approx(0.7, abs=0.15)


def shells(relion: list[float], ours: list[float], amplitude: list[float], seed: int = 0) -> pd.DataFrame:
    """Return a table of a box of 64 whose last shells repeat the last values given."""
    columns = {"fsc_relion": relion, "fsc_cryoprior": ours, "amplitude_relion": amplitude}
    table = pd.DataFrame({"case": "any", "seed": seed, "shell": range(33)})
    for name, values in {**columns, "amplitude_cryoprior": amplitude}.items():
        table[name] = [*values, *[values[-1]] * (33 - len(values))]
    return table


def test_a_deficit_counts_where_relion_has_signal() -> None:
    # shell 0 and those where RELION's is .04 would be larger; the mean is over shells 1 to 3
    table = shells([1.0, 0.9, 0.8, 0.6, 0.04], [0.0, 0.9, 0.5, 0.7, -1.0], [9.0, 1.1, 0.8, 1.2, 7.0])
    relion, ours = views_and_numbers.lines(Case(), table)
    assert ours[-3:-1] == ["0.300", "0.067"]
    assert relion[-3:] == ["", "", "0.80 to 1.20"]
    assert ours[-1] == "1.10 to 1.20"


def test_several_draws_are_told_as_mean_and_deviation() -> None:
    table = pd.concat([shells([1, 0.9], [1, 0.8], [1]), shells([1, 0.9], [1, 0.6], [1], seed=1)])
    ours = views_and_numbers.lines(Case(n=20), table)[1]
    assert ours[2] == "0.700 ± 0.141"
    assert ours[-3] == "0.200 ± 0.141"


def test_every_case_has_a_molecule_and_a_name_of_its_own() -> None:
    cases = views_and_numbers.CASES
    assert len({case.name for case in cases}) == len(cases)
    assert all((case.symmetry, case.box) in views_and_numbers.MOLECULES and case.views in VIEWS for case in cases)


def test_coloured_noise_has_the_deviation_of_white_noise() -> None:
    found = [
        views_and_numbers.noise_of(Case(n=50, noise=noise), 2.0, np.random.default_rng(0))
        for noise in ("white", "coloured")
    ]
    assert [float(noise.std()) for noise in found] == pytest.approx([2, 2], rel=0.02)
    power = [torch.fft.rfft2(noise).abs().square().mean(0) for noise in found]
    assert float(power[1][0, 1] / power[1][0, -1]) > 3 > float(power[0][0, 1] / power[0][0, -1])


def test_ribosomes_are_kept_whole_and_as_many_of_each_half() -> None:
    names = np.repeat([f"r{i}" for i in range(40)], 5)
    halves = np.repeat(np.arange(40) % 2 + 1, 5)
    stack: Any = SimpleNamespace(table=pd.DataFrame({"rlnGroupName": names, "rlnRandomSubset": halves}))
    kept = ribosome_tilts.whole_ribosomes(stack, np.random.default_rng(0))
    of_kept = stack.table.iloc[kept]
    assert set(of_kept.groupby("rlnGroupName").size()) == {5}
    assert list(of_kept.groupby("rlnRandomSubset")["rlnGroupName"].nunique()) == [8, 8]


def test_a_particle_costs_what_the_longer_run_takes_more() -> None:
    runs = [[Run(5.0, 4.0, 300), Run(5.2, 4.2, 310)], [Run(7.0, 5.0, 400), Run(7.6, 5.4, 390)]]
    numbers = backprojection.row(64, 1000, PLAIN, runs)
    assert numbers["ms_a_particle"] == pytest.approx(1.1)
    assert (numbers["least"], numbers["most"]) == pytest.approx((1.0, 1.2))
    assert numbers["ms_processor"] == pytest.approx(0.55)
    assert numbers["s_a_map"] == pytest.approx(5.1 - 1.1)
    assert numbers["peak_mib"] == 400
    once = backprojection.cells(backprojection.row(64, 1000, GRIDDING, [[Run(9.0, 9.0, 500)], []]), numbers)
    assert once[-2:] == ["7.9", "500"]


def test_a_run_is_a_process_with_its_own_memory(tmp_path: Path) -> None:
    star = backprojection.write_particles(tmp_path, 4, 16)
    taken = backprojection.run(backprojection.OURS, star)
    assert (tmp_path / "full.mrc").is_file()
    assert 100 < taken.peak_mib < 4000
    assert taken.seconds > 0


def test_the_referee_is_judged_by_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    of = Halves(1)
    monkeypatch.setattr(benchmark_referee, "BOX", len(of.truth))
    halves = [half.float() for half in of.halves]
    case = benchmark_referee.Case(*halves, of.truth.float(), particle(2).float(), of.solvent.double(), seed=0)
    rows = [
        {"views": "even", **benchmark_referee.judged("a", kind, case, masked=masked)}
        for kind in ("Wiener, mask, positivity", "planted detail", "another molecule", "misplaced mask")
        for masked in (False, True)
    ]
    assert all(row["least"] >= 0.95 for row in rows)
    assert [row["invented_shells"] > 0 for row in rows] == [False, False, True, True, True, True, False, False]
    assert rows[1]["true_worth"] > 0.2
    lines = benchmark_referee.summarised(pd.DataFrame(rows))
    assert [line[2] for line in lines] == 4 * ["none", "generous"]


def test_floors_gain_where_they_should_and_keep_a_map_without_noise() -> None:
    of = Halves(1)
    noisy = HalfMaps(*(half.float() for half in of.halves), of.solvent.double(), 3.0)
    clean = HalfMaps(of.truth.float(), of.truth.float(), torch.ones_like(of.truth), 3.0)

    def off(volume: torch.Tensor) -> float:
        return float((volume - of.truth).norm() / of.truth.norm())

    for name, floor in FLOORS.items():
        assert off(floor(noisy)) < 0.9 * off(noisy.full), name
        assert off(floor(clean)) < 0.05, name
    assert float(FLOORS["mask and positivity"](noisy).min()) == 0


def test_a_worth_is_that_of_the_shells_between_the_bounds() -> None:
    free = np.array([1, 0.995, 0.9, 0.6, 0.2])
    better = np.sqrt(2 * (ratio := free[1:] ** 2 / (1 - free[1:] ** 2)) / (1 + 2 * ratio))
    rows = [
        {"molecule": "2por", "snr": "0.1", "seed": "0", "kind": "full", "method": name, "said": said, "fsc": text}
        for name, said, text in (
            ("prior-free", "", " ".join(map(str, free))),
            ("gated", "1.8", " ".join(map(str, [1, *better]))),
        )
    ]
    found = map_prior_page.worths(rows).set_index("method")
    assert found.loc["gated", "shells"] == 2  # .99 is above the bounds, .02 below
    assert np.exp(found.loc["gated", "log"]) == pytest.approx(2, rel=1e-3)
    assert (found.loc["gated", "above"], found.loc["prior-free", "above"]) == (1, 0)
    page = map_prior_page.page(rows, {"2por": "beta-rich"}, 10, [])
    assert "| 2por, beta-rich | full | 2.00" in page
    assert "2por, beta-rich: reached" in page


def test_a_turn_and_a_shift_of_the_map_are_no_errors_of_poses() -> None:
    rng = np.random.default_rng(0)
    true, turn = Rotation.random(40, rng=rng), Rotation.from_euler("ZYZ", [4, 7, -2], degrees=True)
    origin, shift = rng.normal(size=(40, 2)), np.array([1.5, -2.0, 0.7])
    angles = [torch.from_numpy(poses.as_euler("ZYZ", degrees=True)) for poses in (turn * true, true)]
    moved = origin + true.as_matrix()[:, :, :2].transpose(0, 2, 1) @ shift
    found, known = (angles[0], torch.from_numpy(moved)), (angles[1], torch.from_numpy(origin))
    _, back, errors = relion_refinement.without_drift(found, known)
    assert float(errors.angle_deg.max()) < 1e-4
    torch.testing.assert_close(back, known[1], rtol=0, atol=1e-6)
    assert relion_refinement.crossing(torch.tensor([1, 0.9, 0.6, 0.4, 0.7]), 0.5) == pytest.approx(32 * 4 / 2)


@pytest.mark.parametrize("kind", ["good", "planted", "harmful"])
def test_harm_is_what_the_truth_finds_in_the_gated_map(kind: str) -> None:
    of = Halves(1)
    truth = of.truth.float()
    halves = (of.halves[0].float(), of.halves[1].float())
    priors = tuple(volume.float() for volume in of.prior(kind))
    audit = judge_prior(halves, (priors[0], priors[1]), PIXEL)
    masks = SimpleNamespace(generous=torch.ones_like(truth), tight=of.solvent.float())
    given: Any = SimpleNamespace(truth=truth, masks=masks)
    row = harm.judged(given, audit)
    assert row["generous_harmed"] == 0
    assert row["generous_least"] > harm.LEAST
    assert row["open"] > 0 or kind == "harmful"
    ungated = replace(audit, maps=replace(audit.maps, gated=audit.maps.prior))
    broken = harm.judged(given, ungated)
    assert broken["generous_worth"] == pytest.approx(row["generous_prior"], rel=1e-6)
    assert broken["generous_harmed"] > 3  # every one of these maps is worse by itself at coarse shells
    assert harm.judged(given, None) == {"asked": False}


def test_the_page_of_harm_counts_what_was_harmed_and_what_was_not_asked() -> None:
    row = {
        "trial": "a",
        "molecule": "1gk9",
        "kind": "protein",
        "seed": 0,
        "asked": True,
        "known": 10,
        "open": 5,
        "cut": 0.2,
        "views": False,
    }
    row |= {"said": 2.0, "said_error": 0.1, "supported": 5, "measured": 5, "prior only": 0, "unknown": 0}
    for name in ("generous", "tight"):
        row |= {f"{name}_worth": 1.5, f"{name}_prior": 1.6, f"{name}_least": 0.9, f"{name}_harmed": 2}
        row |= {f"{name}_shells": 12}
    silent = {"trial": "b", "molecule": "1gk9", "kind": "protein", "seed": 0, "asked": False}
    page = harm.page([row, {**row, "seed": 1, "said": 0.5}, silent], 10, [])
    line = next(text for text in page.splitlines() if text.startswith("| a |"))
    assert line.startswith("| a | 2 of 2 | 2 of 2 | 50% | 50% / 50% / 0% / 0% | 1.00 | 1.50 |")
    assert "| 4 of 24 |" in line
    assert "| b | 0 of 1 | - |" in page


def test_a_deviation_is_told_from_the_real_error() -> None:
    of = Halves(2)
    truth, generator = of.truth.float(), torch.Generator().manual_seed(4)
    halves = (of.halves[0].float(), of.halves[1].float())
    error = torch.randn(truth.shape, generator=generator)
    off = [truth + error + 0.01 * torch.randn(truth.shape, generator=generator) for _ in range(2)]
    audit = judge_prior(halves, (off[0], off[1]), PIXEL)
    draws = [0.5 * torch.randn(truth.shape, generator=generator) + truth for _ in range(12)]
    mean, deviation = mean_and_deviation(draws)
    known = torch.ones(D // 2 + 1, dtype=torch.bool)
    spread = sum(deviation_table.shell_power(one - mean) for one in draws) / 11
    drawn = PriorDeviation(12, 0, PIXEL, mean, deviation, spread, spread, spread, known)
    maps = MapSet(*halves, (halves[0] + halves[1]) / 2, 5, 5, PIXEL, audit=audit)
    row = deviation_table.judged(maps, drawn, None, draws, truth, of.solvent.float())
    for name in ("true, same mask", "in the molecule"):
        assert row[name] == pytest.approx(2, rel=0.1)
    assert row["within 1"] == pytest.approx(0.37, abs=0.06)  # of errors twice the deviation
    assert row["mean of draws"] == pytest.approx(12**-0.5 / (13 / 12) ** 0.5, rel=0.1)


def test_the_page_of_costs_marks_what_was_extrapolated() -> None:
    found = {"seconds": 8.0, "wall": 9.0, "gigabytes": 0.5, "extrapolated": False}
    steps = {name: {**found, "extrapolated": name == "draw"} for name in map_prior_cost.STEP_NAMES}
    page = map_prior_cost.page({256: steps}, {200: {"maps": 1.0, "seconds": 2.0}}, [])
    assert "| one draw (25 evaluations) | about 8.00 s, 0.50 GB |" in page
    assert "| referee, gate and gated maps | 8.00 s, 0.50 GB |" in page


def test_other_noise_has_the_power_of_the_real_one_and_nothing_else_of_it() -> None:
    of = Halves(0)
    found = map_prior_noise.with_other_noise(*of.halves, of.truth, 1)
    own = found[map_prior_noise.REAL][0]
    assert torch.equal(own, of.halves[0].float())
    for kind in (map_prior_noise.WHITE, map_prior_noise.PHASES):
        first, second = found[kind]
        noise, other, real = (volume.double() - of.truth for volume in (first, second, own))
        power, expected = (shell_power(volume)[2:12] for volume in (noise, real))
        torch.testing.assert_close(power, expected, rtol=0.35, atol=0)
        assert abs(float((noise * other).sum() / noise.norm() / other.norm())) < 0.05
        assert abs(float((noise * real).sum() / noise.norm() / real.norm())) < 0.05


def test_a_map_is_worth_one_where_it_is_the_same() -> None:
    free = " ".join(f"{value:.3f}" for value in np.linspace(0.99, 0.2, 25))
    assert map_prior_noise.worth(free, free) == pytest.approx(1)
    assert map_prior_noise.worth(" ".join("0.995" for _ in range(25)), free) > 2
