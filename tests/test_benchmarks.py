"""The benchmark scripts: their cells are the paper's, their flags are right, and a rerun computes nothing."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import arguments as arguments_module
import cells
import datasets
import equal_power
import harness
import images as kept
import measured_prior
import one_evaluation
import own_work
import real_particles
import samples
import simulated_particles
import speed
from images import reconstructed
from missing_power import missing_power
from real_tables import flags as real_flags
from store import Store
from table import markdown

from cryoprior.evaluation.pooled import PairSums, pooled_scores
from cryoprior.image import shell_index
from cryoprior.measurement.conditioning import Measurement
from cryoprior.operators import parse_operator
from cryoprior.prior import GaussianPrior, PriorConfig, load_prior, save_prior
from cryoprior.prior.checkpoint import build_network
from cryoprior.prior.denoiser import Denoiser, OperatorAware, Tunable, linearise
from cryoprior.prior.operator_family import OperatorFamily
from cryoprior.prior.signal import Spectra
from cryoprior.random import ParticleNoise
from cryoprior.solvers import SOLVERS, parse_solver


def decaying(box: int, height: float) -> tuple[float, ...]:
    shells = np.arange(int(shell_index(box).max()) + 1)
    return tuple((height * np.exp(-shells / 4) + 1e-3).tolist())


def untrained(folder: Path, **more: Any) -> Path:
    """Return an untrained prior: the best linear estimate of images with these spectra."""
    spectra = {box: Spectra(decaying(box, 3.0), tuple(0.9 for _ in decaying(box, 1))) for box in (32, 64)}
    config = PriorConfig("signal", (8, 32), 1, spectra, {}, (5.0, 5.0), **more)
    torch.manual_seed(0)
    save_prior(folder, build_network(config), config)
    return folder


@pytest.fixture(scope="module")
def tiny_prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("prior"))


@pytest.fixture(scope="module")
def aware_prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same that can be asked about measurements."""
    return untrained(tmp_path_factory.mktemp("aware"), operators=asdict(OperatorFamily()))


def stack(box: int, n: int = 3) -> datasets.Images:
    draw = torch.Generator().manual_seed(0)
    axis = torch.arange(box) - box / 2
    blob = torch.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (box / 6) ** 2)
    clean = blob * (1 + 0.2 * torch.rand(n, 1, 1, generator=draw))
    return datasets.Images("made", "made up", clean + 0.5 * torch.randn(n, box, box, generator=draw), clean)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put made-up images in the place of the real and the simulated ones."""

    def simulated(recipe: object, data: Path, work: Path, n: int, box: int = 64) -> datasets.Images:
        return stack(32 if box == 64 else 64, n)

    for module in (simulated_particles, speed, one_evaluation, samples):
        monkeypatch.setattr(module, "simulated", simulated)
    monkeypatch.setattr(arguments_module, "code_digest", lambda: "code")
    monkeypatch.setattr(real_particles, "real", lambda data, limit: [stack(32, limit or 3)])


def given_to(tmp_path: Path, prior: Path) -> list[str]:
    return [
        "--prior",
        str(prior),
        "--spectrum",
        "prior",
        "--out",
        str(tmp_path / "out"),
        "--work",
        str(tmp_path / "work"),
    ]


def test_cells_are_those_of_the_published_tables(shared_data: Path) -> None:
    text = (shared_data / "published" / "tables.md").read_text()
    first, second = re.split(r"Table [123]\.", text)[1:3]
    pixel = {}
    for line in first.splitlines():
        numbers = [float(x) for x in re.findall(r"(?<![\w.])\.?\d[\d.]*", line)]
        if line.startswith("|") and len(numbers) == 13:
            pixel[int(numbers[0])] = tuple(zip(numbers[1::3], numbers[2::3], numbers[3::3], strict=True))
    assert pixel == cells.PIXEL
    fourier: dict[str, list[tuple[float, ...]]] = {pattern: [] for pattern in cells.FOURIER}
    for line in second.splitlines():
        numbers = [float(x) for x in re.findall(r"(?<![\w.])\.?\d[\d.]*", line)]
        if line.startswith("|") and len(numbers) == 7:
            for i, pattern in enumerate(fourier):
                fourier[pattern].append((numbers[0], *numbers[1 + 2 * i : 3 + 2 * i]))
    assert {pattern: tuple(column) for pattern, column in fourier.items()} == cells.FOURIER


def test_operators_have_the_compression_of_their_cell() -> None:
    assert len({cell.name for cell in cells.all_cells()}) == 64
    for cell in cells.all_cells():
        found = cell.operator(64).compression
        assert found == pytest.approx(cell.compression, rel=0.04), cell.name
    assert [cell.name for cell in cells.named_cells()] == list(cells.NAMED)
    assert len(cells.choose(cells.all_cells(), "K=16 hadamard, uniform")) == 4 + 8
    assert len(cells.choose(cells.all_cells(), None)) == 64


def made_result(mean: float, least: float, distances: tuple[float, float] = (0.3, 0.3)) -> dict[str, Any]:
    return {
        "effective": 2.0,
        "LS": {"ssim": [least, least], "lpips": [0.2, 0.2]},
        "mean": {"ssim": [mean - 0.1, mean + 0.1], "lpips": [distances[0]] * 2},
        "sample": {"ssim": [0.1, 0.1], "lpips": [distances[1]] * 2},
    }


@pytest.mark.parametrize(
    ("mean", "least", "distances", "expected"),
    [
        (0.50, 0.50, (0.12, 0.3), []),
        (0.50, 0.504, (0.3, 0.12), []),
        (0.50, 0.506, (0.12, 0.12), ["LS"]),
        (0.496, 0.49, (0.12, 0.12), []),
        (0.494, 0.49, (0.12, 0.12), ["paper"]),
        (0.50, 0.50, (0.126, 0.13), ["lpips"]),
        (0.30, 0.50, (0.2, 0.3), ["LS", "paper", "lpips"]),
    ],
)
def test_flags_of_real_particles(
    mean: float, least: float, distances: tuple[float, float], expected: list[str]
) -> None:
    cell = next(c for c in cells.all_cells() if c.name == "pixel K=2 C=2 hadamard")  # paper: .12 and .50
    assert real_flags(cell, made_result(mean, least, distances)) == expected


def test_hermitian_masks_and_invertible_operators_are_not_held_to_the_paper() -> None:
    hermitian = next(c for c in cells.all_cells() if c.name == "fourier uniform C=2.5 hermitian")
    assert real_flags(hermitian, made_result(0.3, 0.3, (0.0, 0.0))) == []
    alone = {"effective": 1.0, "LS": {"ssim": [1.0], "lpips": [0.0]}}
    assert real_flags(cells.pixel_cells()[-1], alone) == []


def gains(correlation: list[float], frc: list[float]) -> dict[str, Any]:
    good = {"correlation": [0.1, 0.01], "frc": [0.1, 0.01]}
    over = {"over least-squares": {"correlation": correlation, "frc": frc}, "over gaussian": good}
    return {"exact": over, "contrast": "bright"}


def test_flags_of_simulated_particles() -> None:
    flags = simulated_particles.flags
    assert flags(gains([0.01, 0.001], [0.01, 0.001]), "exact") == ""
    assert flags(gains([-0.01, 0.001], [0.01, 0.001]), "exact") == "correlation not above least-squares"
    assert flags(gains([0.01, 0.001], [-0.01, 0.02]), "exact") == "~frc not above least-squares"
    assert "taken for dark" in flags(gains([0.1, 0.1], [0.1, 0.1]) | {"contrast": "dark"}, "exact")


@pytest.mark.parametrize("text", ["fourier:pattern=uniform,compression=4", "pixel:block=8,masks=16"])
def test_missing_power_compares_what_was_not_measured(text: str) -> None:
    operator, images = parse_operator(text, box=32), stack(32, 8).original
    same = missing_power(operator, images, images)
    assert same["ratio"] == pytest.approx([1.0] * 17)
    louder = missing_power(operator, operator.project(images) + 1.2 * (images - operator.project(images)), images)
    assert louder["deviation"] == pytest.approx(0.44, abs=1e-3)
    assert louder["mean"] == pytest.approx(1.44, abs=1e-3)


def test_a_harness_run_is_the_solver_on_every_particle(tiny_prior: Path) -> None:
    prior, images = load_prior(tiny_prior), stack(32, 5)
    operator = parse_operator("pixel:block=4,masks=8", box=32)
    y = harness.measure(operator, images.original)
    fitted = harness.fit_prior(prior, operator, y)
    reconstructor = fitted.reconstructor(parse_solver("exact:steps=4"), operator)
    found = harness.reconstruct(reconstructor, y, batch=2)
    assert found.evaluations == 4
    assert float(found.residual.max()) < 1e-4
    assert torch.allclose(harness.reconstruct(reconstructor, y[3:], batch=2, first=3).x, found.x[3:], atol=1e-5)


def test_what_was_computed_is_not_computed_again(tmp_path: Path) -> None:
    calls = []

    def compute() -> dict[str, float]:
        calls.append(1)
        return {"a": 0.1}

    first = Store(tmp_path / "work" / "x.jsonl")
    assert first.cached({"cell": 1}, compute) == {"a": 0.1}
    with first.path.open("a") as file:
        file.write('{"key": {"cell": 2}, "resu')  # cut off
    again = Store(first.path)
    assert again.cached({"cell": 1}, compute) == {"a": 0.1}
    assert len(calls) == 1
    again.cached({"cell": 2}, compute)
    assert len(calls) == 2
    assert Store(first.path).cached({"cell": 2}, compute) == {"a": 0.1}
    assert len(calls) == 2
    assert Store(first.path).cached({"cell": 2, "prior": "another"}, compute) == {"a": 0.1}
    assert len(calls) == 3


def run_twice(
    main: Callable[[list[str]], None], given: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Return the table; the second run must compute nothing and write the same but for the date."""
    main(given)
    table = (tmp_path / "out" / f"{name}.md").read_text()

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("computed again")

    for module in (simulated_particles, real_particles, speed, samples):
        monkeypatch.setattr(module, "reconstruct", refuse)
    main(given)
    assert (tmp_path / "out" / f"{name}.md").read_text() == table
    lines = tmp_path / "out" / f"{name}.csv"
    assert not lines.exists() or lines.read_text().count("\n") > 2
    return table


@pytest.mark.usefixtures("made_up")
def test_simulated_particles_writes_its_tables(
    tiny_prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated_particles, "EVALUATIONS", (2, 3))
    monkeypatch.setattr(simulated_particles, "LARGE_BOX", 64)
    monkeypatch.setattr(simulated_particles, "SPECTRUM_OPERATORS", simulated_particles.SPECTRUM_OPERATORS[1:2])
    given = [*given_to(tmp_path, tiny_prior), "--sets", "50s", "--steps", "4", "--particles", "3", "--few", "1"]
    given += ["--cells", "K=16 C=10.2 hadamard"]
    table = run_twice(simulated_particles.main, given, "simulated_particles-50s", tmp_path, monkeypatch)
    assert "| pixel K=16 C=10.2 hadamard |" in table
    assert table.count("| pixel K=16 C=10.2 hadamard |") == 4  # every cell, two numbers of evaluations, 128 pixels
    assert "fourier:pattern=uniform,compression=4 |" in table
    assert "sha256" in table
    assert "python benchmarks/simulated_particles.py --prior" in table


@pytest.mark.usefixtures("made_up")
def test_real_particles_writes_its_tables(tiny_prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [
        *given_to(tmp_path, tiny_prior),
        "--steps",
        "4",
        "--limit",
        "2",
        "--no-lpips",
        "--cells",
        "K=4 C=2.7 hadamard, K=4 C=1 hadamard",
    ]
    given += ["--nesterov-steps", "3", "--nesterov-sets", "made"]
    table = run_twice(real_particles.main, given, "real_particles", tmp_path, monkeypatch)
    rows = [line for line in table.splitlines() if line.startswith("| K=4 |")]
    assert len(rows) == 2
    assert "| = |" in rows[-1]  # C = 1 with Hadamard rows: y determines the image
    assert "| = |" not in rows[0]
    assert "| pixel K=4 C=2.7 hadamard | 0.44 |" in table


@pytest.mark.usefixtures("made_up")
def test_speed_writes_its_tables(tiny_prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "ZETAS", {"unit": (0.1,), "lipschitz": (1.0,), "plain": (1e30,)})
    monkeypatch.setattr(speed, "OWN_WORK", (("fourier:pattern=uniform,compression=2.5", 0.1),))
    given = [*given_to(tmp_path, tiny_prior), "--steps", "2", "--tuning-steps", "2", "--nesterov-steps", "4"]
    given += ["--rounds", "2", "--images", "2", "--work-box", "64", "--cells", "uniform"]
    table = run_twice(speed.main, given, "speed", tmp_path, monkeypatch)
    assert "| exact sample | 2 |" in table
    assert "| nesterov | 4 |" in table
    assert "fourier:pattern=uniform,compression=2.5 | mean |" in table


@pytest.mark.usefixtures("made_up")
def test_own_work_has_a_row_for_every_solver(tiny_prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [*given_to(tmp_path, tiny_prior), "--boxes", "64", "--limit", "1", "--rounds", "1"]
    given += ["--cells", "K=16, uniform"]
    own_work.main(given)
    table = (tmp_path / "out" / "own_work.md").read_text()
    with (tmp_path / "out" / "own_work.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["text"].partition(":")[0] for row in rows} == set(SOLVERS)
    assert len({row["cell"] for row in rows}) == 2
    assert len(rows) == 2 * len(own_work.ENTRIES)
    for row in rows:
        assert 0 < float(row["own ms a solve"]) < float("inf"), row
        assert (row["own share"] == "") is (row["evaluations"] == "0"), row
        assert 0 <= float(row["own share"] or 0) <= 1, row
    evaluations = {row["solver"]: (int(row["evaluations"]), int(row["backward"])) for row in rows}
    assert evaluations["exact mean"] == (24, 0)
    assert evaluations["dps"] == (1000, 1000)
    assert evaluations["dmplug"] == (15003, 15000)
    assert table.count("\n| dmplug |") == 3

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("computed again")

    for name in ("network", "system", "own"):
        monkeypatch.setattr(own_work.Bench, name, refuse)
    own_work.main(given)
    assert (tmp_path / "out" / "own_work.md").read_text() == table


def test_own_work_asks_the_stand_in_as_it_would_the_network(tiny_prior: Path) -> None:
    spectra = own_work.spectra_for(load_prior(tiny_prior), 32)
    assert spectra == load_prior(tiny_prior).config.spectra[32]
    prior = own_work.StandIn(*spectra.grids(32, torch.empty(0)))
    assert isinstance(prior, Denoiser)
    assert isinstance(prior, OperatorAware)
    assert isinstance(prior, Tunable)
    tuned = prior.with_power_factor(32, torch.full((len(spectra.signal),), 4.0))
    torch.testing.assert_close(sum(tuned.components(32, torch.empty(0))), 4 * prior.spectrum(32))
    meter, x = own_work.CpuMeter(prior), stack(32).original
    answer, pullback = linearise(meter, x, torch.ones(len(x)))
    torch.testing.assert_close(pullback(x), answer)
    assert (meter.calls, meter.backward_calls) == (1, 1)
    assert meter.seconds > 0


def test_spectra_for_an_unknown_box_keep_their_frequencies(tiny_prior: Path) -> None:
    prior = load_prior(tiny_prior)
    known, found = prior.config.spectra[64], own_work.spectra_for(prior, 128)
    assert len(found.signal) == int(shell_index(128).max()) + 1
    assert found.signal[::2] == pytest.approx(known.signal[: len(found.signal[::2])])


def test_speed_says_what_is_not_met() -> None:
    def runner(seconds: float, residual: float, correlation: float) -> dict[str, Any]:
        pairs = {"correlation": [correlation, 0.01], "frc": [0.1, 0.01], "ssim": [-0.01, 0.01]}
        return {"seconds": [9.0, seconds, seconds], "residual": residual, "over nesterov": pairs}

    result = {"nesterov": {"seconds": [40.0, 40.0, 1.0]}, "exact mean": runner(1.0, 1e-6, 0.1)}
    good = speed.verdict(result | {"exact sample": runner(1.0, 1e-6, 0.1)})
    assert "40.0 times faster" in good
    assert "NOT MET" not in good
    bad = speed.verdict(result | {"exact sample": runner(2.0, 1e-3, -0.1)})
    assert bad.count("NOT MET") == 3
    assert "lower in correlation" in bad


def test_the_finalists_are_the_best_steps_and_the_next_shorter_ones() -> None:
    found = {"unit": (0.1, 0.2, 0.5, 0.3, 0.1, -1.0), "lipschitz": (0.6, 0.2, 0.1, 0.1, 0.1), "plain": (0.4,) * 5}
    tried = [
        {"gradient": gradient, "zeta": zeta, "ssim": ssim}
        for gradient, zetas in speed.ZETAS.items()
        for zeta, ssim in zip(zetas, found[gradient], strict=True)
    ]
    chosen = [(entry["gradient"], entry["zeta"]) for entry in speed.finalists(tried)]
    assert chosen == [("lipschitz", 0.1), ("unit", 0.1), ("unit", 0.3)]


def test_markdown_and_results_are_plain() -> None:
    assert markdown(("a", "b"), [(0.123, None)]) == "| a | b |\n|---|---|\n| 0.12 | - |\n"
    assert json.loads(json.dumps(cells.PIXEL))


def opened(tmp_path: Path, prior: Path) -> arguments_module.Run:
    return arguments_module.Run.open("x.py", arguments_module.parser("x").parse_args(given_to(tmp_path, prior)), [])


@pytest.mark.usefixtures("made_up")
def test_an_image_is_reconstructed_once(aware_prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, cell = opened(tmp_path, aware_prior), cells.named_cells()[0]
    images = stack(32, 4)
    texts = ("gaussian", "posterior:steps=1", "exact:estimate=sample,steps=2")

    def all_of_them() -> dict[tuple[str, int, int], torch.Tensor]:
        found = {(text, 0, 4): reconstructed(run, run.prior, images, cell, text) for text in texts}
        found |= {(text, 2, 1): reconstructed(run, run.prior, images, cell, text, n=1, first=2) for text in texts}
        return found

    before = all_of_them()
    for text in texts:
        assert before[text, 0, 4].shape == (4, 32, 32)
        torch.testing.assert_close(before[text, 2, 1], before[text, 0, 4][2:3], rtol=1e-3, atol=1e-3)
    other = reconstructed(run, run.prior, images, cell, texts[2], seed=1)
    assert not torch.allclose(other, before[texts[2], 0, 4], atol=0.1)
    folders = list((tmp_path / "work" / "images").iterdir())
    assert [folder.name for folder in folders] == [f"made-32-4-{harness.prior_digest(run.prior)}"]
    assert {path.suffix for path in folders[0].iterdir()} == {".npy"}

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(kept, "reconstruct", refuse)
    again = all_of_them()
    assert all(torch.equal(again[key], x) for key, x in before.items())
    for more in ({"seed": 2}, {"n": 2}):
        with pytest.raises(AssertionError, match="computed again"):
            reconstructed(run, run.prior, images, cell, texts[2], **more)


def evaluated(correlation: list[float], frc: list[float], similarity: list[float]) -> dict[str, Any]:
    one = {"over exact": {"correlation": correlation, "frc": frc}, "over least-squares, ssim": similarity}
    return {one_evaluation.ONE: one}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (([0.1, 0.01], [0.0, 0.01], [0.1, 0.01]), ""),
        (([-0.1, 0.01], [0.1, 0.01], [0.1, 0.01]), "correlation below exact"),
        (([0.1, 0.01], [-0.01, 0.01], [0.1, 0.01]), "~frc below exact"),
        (([0.1, 0.01], [0.1, 0.01], [-0.03, 0.01]), "SSIM below LS"),
        (([-0.01, 0.01], [-0.1, 0.01], [-0.01, 0.01]), "~correlation below exact; frc below exact; ~SSIM below LS"),
    ],
)
def test_flags_of_one_evaluation(pairs: tuple[list[float], ...], expected: str) -> None:
    assert one_evaluation.flags(evaluated(*pairs)) == expected


@pytest.mark.usefixtures("made_up")
def test_one_evaluation_writes_its_tables(
    aware_prior: Path, tiny_prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_evaluation, "MEAN", "exact:steps=2")
    monkeypatch.setattr(one_evaluation, "SAMPLE", "exact:estimate=sample,steps=2")
    monkeypatch.setattr(one_evaluation, "RIVAL", {1: "nesterov:steps=4,gradient=unit,zeta_max=1"})
    given = [*given_to(tmp_path, aware_prior), "--rival-prior", str(tiny_prior), "--cells", "K=16 C=10.2 hadamard"]
    given += ["--limit", "3", "--particles", "3", "--averaged", "2", "--samples", "2", "--raced", "1", "--rounds", "1"]
    one_evaluation.main(given)
    table = (tmp_path / "out" / "one_evaluation.md").read_text()
    assert table.count("\n| pixel K=16 C=10.2 hadamard |") == 4  # quality, average of samples, race, speed
    assert "Every cell with C >= 1.3, 3 particles" in table
    assert "nan" not in table
    lines = (tmp_path / "out" / "one_evaluation.csv").read_text()
    assert "average of 2 exact:estimate=sample,steps=2" in lines


@pytest.fixture(scope="module")
def exact_draws() -> tuple[Any, torch.Tensor, list[torch.Tensor], torch.Tensor]:
    """Return an operator, Gaussian images, 16 draws of each given what was measured of it, and the mean of such."""
    operator = parse_operator("pixel:block=4,masks=8", box=16)
    grid = torch.arange(9.0).expand(16, -1)
    prior = GaussianPrior((0.1 + 4 / (1 + grid**2)).double())
    particles, nothing = range(96), torch.zeros(96, 16, 16, dtype=torch.float64)
    truth = prior.draw(ParticleNoise(1, "truth", particles).normal_like(nothing))
    measurement = Measurement(operator, operator.forward(truth, particles), 0.0, particles, "a test")
    draws = [measurement.condition(nothing, prior.power, ParticleNoise(i, "draw", particles)) for i in range(16)]
    return operator, truth, draws, measurement.condition(nothing, prior.power)


def test_exact_draws_cover_the_truth_as_often_as_they_say(exact_draws: Any) -> None:
    operator, truth, draws, _ = exact_draws
    found = samples.coverage(operator, draws, truth)
    assert set(found) == {"50%", "80%", "95%"}
    for level in samples.LEVELS:
        share, error = found[f"{level:.0%}"]
        assert share == pytest.approx(level, abs=0.02)
        assert 0 < error < 0.02
    assert samples.row("x", {"power": missing_power(operator, draws[0], truth), **found})[-1] == "yes"


@pytest.mark.parametrize(("spread", "below"), [(0.8, True), (1.25, False)])
def test_draws_that_are_too_narrow_cover_too_little(exact_draws: Any, spread: float, below: bool) -> None:
    operator, truth, draws, mean = exact_draws
    changed = [mean + spread * (x - mean) for x in draws]
    found = samples.coverage(operator, changed, truth)
    for level in samples.LEVELS[:2]:
        share, error = found[f"{level:.0%}"]
        assert (share < level - 3 * error) is below
        assert (share > level + 3 * error) is not below
    assert samples.row("x", {"power": missing_power(operator, changed[0], truth), **found})[-1] == "NO"


@pytest.mark.usefixtures("made_up")
def test_samples_writes_its_tables(aware_prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SPECTRUM_OPERATORS", samples.SPECTRUM_OPERATORS[:1])
    given = [*given_to(tmp_path, aware_prior), "--all", "3", "--particles", "2", "--samples", "3"]
    given += ["--solvers", "posterior:estimate=sample,steps=2"]
    table = run_twice(samples.main, given, "samples", tmp_path, monkeypatch)
    assert "posterior:estimate=sample,steps=2, held-out particles" in table
    assert "posterior:estimate=sample,steps=2, images of a Gaussian prior" in table
    assert table.count("| fourier:pattern=uniform,compression=2 |") == 2


def test_what_is_lost_is_positive_and_what_is_gained_negative() -> None:
    images = stack(32, 40)
    assert images.clean is not None
    good, bad = (PairSums.of(images.clean + s * (images.original - images.clean), images.clean) for s in (0.5, 1.0))
    loss = 100 * (1 - pooled_scores(bad)["correlation"] / pooled_scores(good)["correlation"])
    assert loss > 5
    assert measured_prior.lost(bad, good).startswith(f"+{loss:.1f} ± ")
    assert measured_prior.lost(good, bad).startswith("-")
    assert measured_prior.lost(good, good) == "-0.0 ± 0.0"


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
    assert "-0.0100 ± 0.0020" in equal_power.table([line])
