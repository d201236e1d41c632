"""The benchmark scripts: their cells are the paper's, their flags are right, and a rerun computes nothing."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import arguments as arguments_module
import cells
import datasets
import harness
import real_particles
import simulated_particles
import speed
from clean_scores import Sums, gain, jackknife, score
from missing_power import missing_power
from real_tables import flags as real_flags
from store import Store
from table import markdown

from cryoprior.image import shell_index
from cryoprior.operators import parse_operator
from cryoprior.prior import PriorConfig, load_prior, save_prior
from cryoprior.prior.checkpoint import build_network
from cryoprior.prior.signal import Spectra
from cryoprior.solvers import parse_solver


def decaying(box: int, height: float) -> tuple[float, ...]:
    shells = np.arange(int(shell_index(box).max()) + 1)
    return tuple((height * np.exp(-shells / 4) + 1e-3).tolist())


@pytest.fixture(scope="module")
def tiny_prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an untrained prior: the best linear estimate of images with these spectra."""
    spectra = {box: Spectra(decaying(box, 3.0), tuple(0.9 for _ in decaying(box, 1))) for box in (32, 64)}
    config = PriorConfig("signal", (8, 32), 1, spectra, {}, (5.0, 5.0))
    folder = tmp_path_factory.mktemp("prior")
    torch.manual_seed(0)
    save_prior(folder, build_network(config), config)
    return folder


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

    for module in (simulated_particles, speed):
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


def test_pooled_scores_and_their_errors() -> None:
    images = stack(32, 40)
    assert images.clean is not None
    itself, noisy = Sums.of(images.clean, images.clean), Sums.of(images.original, images.clean)
    assert score(itself) == pytest.approx({"correlation": 1.0, "frc": 1.0})
    assert score(Sums.of(3 * images.original + 7, images.clean)) == pytest.approx(score(noisy), rel=1e-5)
    difference, error = gain(itself, noisy)["correlation"]
    assert difference == pytest.approx(1 - score(noisy)["correlation"])
    assert 0 < error < 0.1 * difference
    assert gain(noisy, noisy)["frc"] == [0.0, 0.0]


def test_jackknife_of_a_mean_is_the_standard_error() -> None:
    values = torch.randn(50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    left_out = (values.sum() - values) / 49
    assert float(jackknife(left_out)) == pytest.approx(float(values.std()) / 50**0.5)


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
    restorer = fitted.restorer(parse_solver("exact:steps=4"), operator)
    found = harness.restore(restorer, y, batch=2)
    assert found.evaluations == 4
    assert float(found.residual.max()) < 1e-4
    assert torch.allclose(harness.restore(restorer, y[3:], batch=2, first=3).x, found.x[3:], atol=1e-5)


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

    for module in (simulated_particles, real_particles, speed):
        monkeypatch.setattr(module, "restore", refuse)
    main(given)
    assert (tmp_path / "out" / f"{name}.md").read_text() == table
    assert (tmp_path / "out" / f"{name}.csv").read_text().count("\n") > 2
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
