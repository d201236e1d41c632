"""The benchmarks: their plans are read, their cells are the paper's, and the scripts write their tables."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cost import own_work
from benchmarks.images import equal_power
from benchmarks.kit.table import command, markdown, published

from cryoprior.benchmark.images.plan import ImagesPlan
from cryoprior.benchmark.toml import read_plan
from cryoprior.image import shell_index
from cryoprior.operators import parse_operator
from cryoprior.prior import PriorConfig, load_prior, save_prior
from cryoprior.prior.checkpoint import build_network
from cryoprior.prior.denoiser import Denoiser, OperatorAware, Tunable, linearise
from cryoprior.prior.signal import Spectra
from cryoprior.solvers import SOLVERS

ROOT = Path(__file__).resolve().parents[1]
PLANS = sorted(path.relative_to(ROOT / "benchmarks") for path in (ROOT / "benchmarks").rglob("*.toml"))


def decaying(box: int, height: float) -> tuple[float, ...]:
    shells = np.arange(int(shell_index(box).max()) + 1)
    return tuple((height * np.exp(-shells / 4) + 1e-3).tolist())


def untrained(folder: Path) -> Path:
    """Return an untrained prior: the best linear estimate of images with these spectra."""
    spectra = {box: Spectra(decaying(box, 3.0), tuple(0.9 for _ in decaying(box, 1))) for box in (32, 64)}
    config = PriorConfig("signal", (8, 32), 1, spectra, {}, (5.0, 5.0))
    torch.manual_seed(0)
    save_prior(folder, build_network(config), config)
    return folder


@pytest.fixture(scope="module")
def tiny_prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("prior"))


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_every_plan_is_read(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CRYOPRIOR_SHARED_DATA", "CRYOPRIOR_WORK"):
        monkeypatch.setenv(name, "/nowhere")
    read = read_plan(ROOT / "benchmarks" / plan)
    assert read.methods
    if isinstance(read, ImagesPlan):
        assert all(any(method.has(cell) for cell in read.all_cells) for method in read.methods)
        assert read.published is None or (ROOT / "benchmarks" / plan.parent / read.published).is_file()


@pytest.fixture
def real_particles(monkeypatch: pytest.MonkeyPatch) -> ImagesPlan:
    monkeypatch.setenv("CRYOPRIOR_SHARED_DATA", "/nowhere")
    plan = read_plan(ROOT / "benchmarks" / "images" / "real_particles.toml")
    assert isinstance(plan, ImagesPlan)
    return plan


def test_operators_have_the_compression_of_their_cell(real_particles: ImagesPlan) -> None:
    assert len({cell.name for cell in real_particles.all_cells}) == 64
    for cell in real_particles.all_cells:
        named = float(cell.name.partition("C=")[2].split()[0])
        assert parse_operator(cell.operator, box=64).compression == pytest.approx(named, rel=0.04), cell.name


@pytest.mark.parametrize(("cell", "tried"), [("K=16", "tuning_pixel"), ("uniform", "tuning_fourier")])
def test_the_tuning_tries_what_its_table_holds(cell: str, tried: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYOPRIOR_SHARED_DATA", "/nowhere")
    plan = read_plan(ROOT / "benchmarks" / "cost" / "nesterov_tuning.toml")
    assert isinstance(plan, ImagesPlan)
    table = pd.read_csv(ROOT / "benchmarks" / "results" / "speed" / f"{tried}.csv")
    kept = table[table["SSIM"] != "diverged"]
    expected = [(row.gradient, row.zeta_max, row.evaluations) for row in kept.itertuples()]
    measured = next(known for known in plan.all_cells if known.mask == cell)
    solvers = [vars(method.component) for method in plan.methods if method.has(measured)]
    assert sorted((s["gradient"], s["zeta_max"], s["steps"]) for s in solvers) == sorted(expected)


def test_fewer_and_more_evaluations_are_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYOPRIOR_SHARED_DATA", "/nowhere")
    plan = read_plan(ROOT / "benchmarks" / "images" / "simulated_particles.toml")
    assert [method.name for method in plan.methods if method.ours] == [
        "exact mean",
        "exact mean, 10",
        "exact mean, 100",
    ]


def test_the_papers_figures_are_those_of_its_tables(shared_data: Path) -> None:
    text = (shared_data / "published" / "tables.md").read_text()
    tables = {}
    for number, part in zip("123", re.split(r"Table [123]\.", text)[1:4], strict=True):
        lines = [line for line in part.splitlines() if line.startswith("|")]
        tables[number] = [[float(x) for x in re.findall(r"(?<![\w.])\.?\d[\d.]*", line)] for line in lines]
    kept = pd.read_csv(ROOT / "benchmarks" / "published.csv", dtype={"table": str})
    columns = ["compression", "lpips", "ssim"]
    for line in [line for line in tables["1"] if len(line) == 13]:
        figures = kept[(kept["table"] == "1") & (kept["mask"] == f"K={line[0]:.0f}")]
        assert figures[columns].to_numpy().ravel().tolist() == line[1:]
    for i, pattern in enumerate(("uniform", "ring", "spoke")):
        figures = kept[(kept["table"] == "2") & (kept["mask"] == pattern)]
        expected = [[line[0], *line[1 + 2 * i : 3 + 2 * i]] for line in tables["2"] if len(line) == 7]
        assert figures[columns].to_numpy().tolist() == expected
    third = [line for line in tables["3"] if len(line) == 11]
    expected = [value for line in third for value in line[2:6]] + [value for line in third for value in line[7:]]
    assert kept[kept["table"] == "3"]["value"].tolist() == expected
    assert [published(f"confidence_{name}") for name in ("original", "reconstruction")] == [67.3, 62.5]


def test_own_work_has_a_row_for_every_solver(tiny_prior: Path, tmp_path: Path) -> None:
    given = ["--prior", str(tiny_prior), "--out", str(tmp_path), "--boxes", "32", "--images", "1", "--rounds", "1"]
    own_work.main([*given, "--cells", "K=16 C=2.5 hadamard"])
    table = (tmp_path / "own_work.md").read_text()
    with (tmp_path / "own_work" / "solvers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["text"].partition(":")[0] for row in rows} == set(SOLVERS)
    assert len(rows) == len(own_work.ENTRIES)
    for row in rows:
        assert 0 < float(row["own ms a solve"]) < float("inf"), row
        assert (row["own share"] == "") is (row["evaluations"] == "0"), row
        assert 0 <= float(row["own share"] or 0) <= 1, row
    evaluations = {row["solver"]: (int(row["evaluations"]), int(row["backward"])) for row in rows}
    assert evaluations["exact mean"] == (24, 0)
    assert evaluations["dps"] == (1000, 1000)
    assert evaluations["dmplug"] == (15003, 15000)
    assert table.count("\n| dmplug |") == 1
    assert "python -m benchmarks.cost.own_work --prior" in table


def test_own_work_asks_the_stand_in_as_it_would_the_network(tiny_prior: Path) -> None:
    spectra = own_work.spectra_for(load_prior(tiny_prior), 32)
    assert spectra == load_prior(tiny_prior).config.spectra[32]
    prior = own_work.StandIn(*spectra.grids(32, torch.empty(0)))
    assert isinstance(prior, Denoiser)
    assert isinstance(prior, OperatorAware)
    assert isinstance(prior, Tunable)
    tuned = prior.with_power_factor(32, torch.full((len(spectra.signal),), 4.0))
    torch.testing.assert_close(sum(tuned.components(32, torch.empty(0))), 4 * prior.spectrum(32))
    meter, x = own_work.CpuMeter(prior), torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(0))
    answer, pullback = linearise(meter, x, torch.ones(len(x)))
    torch.testing.assert_close(pullback(x), answer)
    assert (meter.calls, meter.backward_calls) == (1, 1)
    assert meter.seconds > 0


def test_spectra_for_an_unknown_box_keep_their_frequencies(tiny_prior: Path) -> None:
    prior = load_prior(tiny_prior)
    known, found = prior.config.spectra[64], own_work.spectra_for(prior, 128)
    assert len(found.signal) == int(shell_index(128).max()) + 1
    assert found.signal[::2] == pytest.approx(known.signal[: len(found.signal[::2])])


def test_markdown_is_plain_and_commands_name_no_folder() -> None:
    assert markdown(("a", "b"), [(0.123, None)]) == "| a | b |\n|---|---|\n| 0.12 | - |\n"
    given = ["--data", "/home/me/data", "--n", "100", "--work=/scratch", "--out", "here"]
    assert command("biology.heterogeneity", given) == "python -m benchmarks.biology.heterogeneity --n 100"


def test_a_draw_goes_towards_the_mean_until_it_has_the_power_asked_for() -> None:
    mean, sample = 0.4 * torch.randn(6, 16, 16, dtype=torch.float64), torch.randn(6, 16, 16, dtype=torch.float64)
    low, high = equal_power.power_of(mean), equal_power.power_of(sample)
    for power in (0.7 * low + 0.3 * high, 0.5 * (low + high)):
        x, a = equal_power.towards(mean, sample, power)
        assert equal_power.power_of(x) == pytest.approx(power)
        torch.testing.assert_close(x, mean + a * (sample - mean))
        assert 0 < a < 1
    assert equal_power.towards(mean, sample, 2 * high)[1] == 1


def test_equal_power_counts_what_is_lower_before_and_after() -> None:
    line = {"cell": "c", "peer": "p", "n": 8, "a": 0.6, "power": 0.7, "power of a draw": 1.0, "draw": -0.01}
    line |= {"draw, error": 0.002, "equal power": -0.001, "equal power, error": 0.001}
    text = equal_power.verdict([line])
    assert "draw: lower by more than two standard errors in 1 of 1" in text
    assert "equal power: lower by more than two standard errors in 0 of 1" in text
    assert "| p | 1 | 0.70 | 1 | -0.0100 | 0 | -0.0010 |" in equal_power.table(equal_power.by_peer([line]))
