"""A benchmark of images: its rows are complete and repeatable, it goes on where it stopped, and what it refuses."""

from __future__ import annotations

import copy
import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cryoprior import cli
from cryoprior.benchmark import command as bench
from cryoprior.benchmark.images import pairs as image_pairs
from cryoprior.benchmark.images.cells import FourierGrid, FreeCell, PixelGrid, PublishedGrid
from cryoprior.benchmark.images.narrowing import narrowed
from cryoprior.benchmark.images.page import ImageTable
from cryoprior.benchmark.images.pairs import ImagePairs
from cryoprior.benchmark.images.plan import ImageMethod, ImagesPlan
from cryoprior.benchmark.images.scorer import Scorer
from cryoprior.benchmark.images.sheets import contests
from cryoprior.benchmark.images.table import run_images
from cryoprior.benchmark.images.work import CellWork, ImageWork
from cryoprior.benchmark.toml import read_plan
from cryoprior.errors import InputError
from cryoprior.evaluation.pooled import PairSums, pooled_gain, pooled_scores
from cryoprior.evaluation.unmeasured import coverage, missing_power, unmeasured
from cryoprior.io import read_particles, write_map, write_stack, write_star
from cryoprior.measurement import command as measure
from cryoprior.prior.checkpoint import load_prior, save_prior
from cryoprior.reconstruction import command as reconstruct
from cryoprior.reconstruction.reconstructor import Reconstructed, Reconstructor
from kit.sealed import reseal

N, FEW = 6, 4
PIXEL, FOURIER = "K=4 C=4 hadamard", "uniform C=2.5 hermitian"
PLAN = """
table = "images"
title = "small"
encodings = ["float16", "integer:bits=3"]
lpips = "off"
prior = "prior"
seeds = [0, 1]
named = ["K=4 C=4 hadamard"]
headline = ["exact mean"]
[simulate]
structures = ["blobs.mrc"]
n = 6
box = 32
pixel_size = 5.0
snr = 1.0
[[pixel]]
block = 4
compressions = [4.0]
[[fourier]]
pattern = "uniform"
compressions = [2.5]
[[methods]]
name = "least squares"
solver = "least-squares"
[[methods]]
name = "wiener"
solver = "gaussian"
ours = true
[[methods]]
name = "exact mean"
solver = "exact:steps=4"
ours = true
[[methods]]
name = "exact sample"
solver = "exact:estimate=sample,steps=3"
ours = true
[[methods]]
name = "DDRM"
solver = "ddrm:steps=3"
[[methods]]
name = "DDRM, mean of 3"
solver = "ddrm:steps=3"
samples = 3
particles = 4
[[methods]]
name = "DPS"
solver = "dps:steps=3"
particles = 2
cells = ["K=4 C=4 hadamard"]
"""
METHODS = {"least squares", "wiener", "exact mean", "exact sample", "DDRM", "DDRM, mean of 3"}
BESIDE = {"constant", "spectrum noise", "crop", "quantize"}
SCEPTICS = {"least squares, low-passed", "mean image, no data", "Gaussian with mean image", "Wiener signal"}
TIMES = ["seconds", "seconds_network", "seconds_own"]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, tiny_prior: Path) -> Path:
    folder = tmp_path_factory.mktemp("bench-images")
    axis = np.arange(32) - 16
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    blobs = [((z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2) / 12 for a, b, c in ((3, -4, 2), (-5, 3, 4), (0, 5, -6))]
    write_map(folder / "blobs.mrc", sum(np.exp(-r) for r in blobs).astype(np.float32), 5.0)
    shutil.copytree(tiny_prior, folder / "prior")
    path = folder / "plan.toml"
    path.write_text(PLAN)
    return path


@pytest.fixture(scope="module")
def finished(plan: Path) -> Path:
    output = plan.parent / "out"
    bench.run(bench.Options(plan, output, threads=1))
    return output


@pytest.fixture
def again(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished folder, file times and all."""
    return Path(shutil.copytree(finished, tmp_path / "again"))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str, int]]:
    """Return the seed, the stage and the number of images of every restoration from now on."""
    seen: list[tuple[int, str, int]] = []
    reconstruct = Reconstructor.reconstruct

    def noted(self: Reconstructor, y: torch.Tensor, particles: Any) -> Reconstructed:
        seen.append((self.seed, self.stage, len(y)))
        return reconstruct(self, y, particles)

    monkeypatch.setattr(Reconstructor, "reconstruct", noted)
    return seen


def images_plan(path: Path, **changes: Any) -> ImagesPlan:
    found = read_plan(path)
    assert isinstance(found, ImagesPlan)
    return dataclasses.replace(found, **changes)


def tables(
    plan: ImagesPlan, folder: Path, batch: int = 32, *, watched: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rows and pairs of a plan, run without pictures; no pairs is an empty table.

    Unwatched, no memory is measured: that runs every method twice more.
    """
    folder.mkdir(exist_ok=True, parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageTable, "_pictures", lambda self: iter(()))
        if not watched:
            patch.setattr(CellWork, "memory", lambda self, method: 1.0)
        run_images(plan, folder, batch=batch)
    pairs = folder / "pairs.csv"
    return read_rows(folder), pd.read_csv(pairs) if pairs.is_file() else pd.DataFrame()


def read_rows(folder: Path) -> pd.DataFrame:
    rows = pd.read_csv(folder / "rows.csv")
    texts = ["series", "cell", "mask", "variant", "operator", "solver"]
    return rows.fillna(dict.fromkeys(texts, ""))


def worked(plan: ImagesPlan, folder: Path, cell: str = PIXEL) -> CellWork:
    return next(found for found in ImageWork(plan, folder).cells() if found.cell.name == cell)


def method(plan: ImagesPlan, name: str) -> ImageMethod:
    return next(found for found in plan.methods if found.name == name)


def only(plan: Path, *names: str, **changes: Any) -> ImagesPlan:
    """Return the plan with these methods alone, in its pixel cell."""
    whole = images_plan(plan)
    chosen = tuple(found for found in whole.methods if found.name in names)
    return dataclasses.replace(whole, **{"methods": chosen, "fourier": (), "headline": (), "named": (), **changes})


def unit_files(folder: Path) -> list[Path]:
    return sorted((folder / "units").rglob("*.npz"))


def state(files: list[Path]) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


# what a run leaves


def test_every_cell_has_every_row(finished: Path) -> None:
    rows = read_rows(finished)
    assert len(rows[rows["method"] == "full image"]) == 1
    assert rows[rows["cell"] == ""]["method"].tolist() == ["full image", "float16", "integer:bits=3"]
    for cell, methods in ((PIXEL, {*METHODS, "DPS"}), (FOURIER, METHODS)):
        here = rows[rows["cell"] == cell]
        beside = {*BESIDE, "bin"} if cell == PIXEL else BESIDE  # no divisor of the box makes C = 2.5
        assert here.groupby("method")["seed"].agg(list).to_dict() == {
            **{name: [0, 1] for name in methods},
            **{name: [0] for name in beside | SCEPTICS},
        }
    kinds = rows.groupby("method")["kind"].first()
    assert kinds[list(METHODS)].eq("method").all()
    assert kinds[["constant", "spectrum noise", *SCEPTICS]].eq("floor").all()
    assert kinds[["crop", "bin", "quantize", "full image"]].eq("control").all()
    numbers = rows[["psnr", "ssim", "correlation", "frc", "power", "compression", "effective_compression", "stored"]]
    assert np.isfinite(numbers.to_numpy()).all()
    costs = rows[rows["kind"] == "method"][["residual", "evaluations", "backward", "memory_mb", *TIMES]]
    assert np.isfinite(costs.to_numpy()).all()
    assert rows[rows["kind"] != "method"]["evaluations"].isna().all()
    assert rows["lpips"].isna().all()


def test_the_floors_of_a_sceptic_are_those_of_evaluate(finished: Path) -> None:
    rows = read_rows(finished)
    at = rows[rows["cell"] == PIXEL].groupby("method").first()
    assert at.loc["Gaussian with mean image", "frc"] == pytest.approx(at.loc["wiener", "frc"], abs=1e-3)
    assert at.loc["least squares, low-passed", "power"] < 0.5 * at.loc["least squares", "power"]
    assert at.loc["Wiener signal", "power"] < at.loc["Gaussian with mean image", "power"]
    same = rows[rows["method"] == "mean image, no data"]["frc"]
    assert len(same) == 2
    reached = rows["frc_half_angstrom"].dropna()
    assert len(reached)
    assert ((reached >= 2 * 5.0) & (reached <= 32 * 5.0)).all()  # Nyquist to shell 1


def test_signals_are_compared_with_signals() -> None:
    cell = pd.DataFrame(
        {"kind": "method", "n": 4, "method": list("abcd"), "estimate": ["mean", "signal", "sample", "signal"]}
    )
    assert contests(cell) == [["a"], ["c"], ["b", "d"]]


def test_formats_have_rows_and_a_table_of_their_own(finished: Path) -> None:
    rows = read_rows(finished)
    stored = rows[rows["kind"] == "storage"].set_index("method")
    assert stored["bytes_per_particle"].to_dict() == {"float16": 2048, "integer:bits=3": 384 + 8}
    assert stored.loc["float16", "compression"] == 2
    assert stored.loc["integer:bits=3", "ssim"] < stored.loc["float16", "ssim"] == pytest.approx(1, abs=1e-4)
    assert stored["frc"].notna().all()
    text = (finished / "table.md").read_text()
    assert "### Formats" in text
    assert "| integer:bits=3 | 392 | " in text


def test_rows_say_what_was_done(finished: Path) -> None:
    rows = read_rows(finished)
    at = rows[rows["cell"] == PIXEL].groupby("method").first()
    assert at.loc["DDRM, mean of 3", ["estimate", "samples", "n"]].tolist() == ["mean", 3, FEW]
    assert at.loc["DDRM", ["estimate", "samples", "n", "solver"]].tolist() == ["sample", 1, N, "ddrm:steps=3"]
    assert at.loc["DPS", ["n", "evaluations", "backward"]].tolist() == [2, 3, 3]
    assert at.loc["least squares", ["estimate", "evaluations"]].tolist() == ["least-squares", 0]
    assert set(at["compression"]) == {4.0}
    assert set(at["mask"]) == {"K=4"}
    assert at.loc["DDRM", "operator"] == "pixel:block=4,masks=4,rows=hadamard,sets=1"
    assert at.loc["bin", "stored"] == at.loc["DDRM", "stored"] == 16 * 16
    assert (at["seconds"].dropna() >= at["seconds_network"].dropna()).all()
    full = rows[rows["cell"] == ""].iloc[0]
    assert full[["compression", "stored", "ssim", "power"]].tolist() == [1, 32 * 32, 1, 1]


def test_floors_and_controls_are_where_they_belong(finished: Path) -> None:
    at = read_rows(finished).query("cell == @PIXEL").groupby("method").first()
    assert at.loc["constant", "power"] == pytest.approx(0, abs=1e-9)
    assert at.loc["spectrum noise", "power"] == pytest.approx(1, abs=0.1)
    assert abs(at.loc["spectrum noise", "frc"]) < 0.2
    assert at.loc["least squares", "power"] < 0.9  # the measured part alone
    assert at.loc[["least squares", "exact mean"], "residual"].max() < 1e-5
    full = read_rows(finished).query("method == 'full image'")["frc"].item()
    assert (at.loc[list(BESIDE), "frc"] < full).all()


def test_gains_are_over_least_squares_on_the_same_particles(finished: Path, plan: Path) -> None:
    rows = read_rows(finished).query("cell == @PIXEL and seed == 0").set_index("method")
    assert rows.loc["least squares", ["ssim_gain", "frc_gain"]].tolist() == pytest.approx([0, 0], abs=1e-6)
    for name in ("exact mean", "crop"):
        assert rows.loc[name, "ssim_gain"] == pytest.approx(
            rows.loc[name, "ssim"] - rows.loc["least squares", "ssim"], abs=2e-6
        )
    cell = worked(images_plan(plan), finished)
    assert cell.work.clean is not None
    few = pooled_scores(PairSums.of(cell.least_squares[:2], cell.work.clean[:2]))
    assert rows.loc["DPS", "frc_gain"] == pytest.approx(rows.loc["DPS", "frc"] - few["frc"], abs=2e-6)


def test_tables_pictures_and_page_are_there(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert {"rows.csv", "pairs.csv", "table.md", "report.html", "summary.json", "provenance.json", "plan.toml"} <= names
    assert {"cost-evaluations.png", "cost-seconds.png", "images-k4-c4-hadamard-1.png"} <= names
    assert not any(name.startswith("images-uniform") for name in names)
    text = (finished / "table.md").read_text()
    assert "6, simulated" in text
    assert "switched off" in text  # why there is no LPIPS
    summary = json.loads((finished / "summary.json").read_text())
    assert len(summary["rows"]) == len(read_rows(finished))
    assert json.loads((finished / "provenance.json").read_text())["command"] == "bench"


# the same again


def test_another_folder_gets_the_same_numbers_byte_by_byte(plan: Path, finished: Path, tmp_path: Path) -> None:
    tables(narrowed(images_plan(plan), PIXEL, None), tmp_path / "other")

    def lines(folder: Path) -> list[list[str]]:
        table = pd.read_csv(folder / "rows.csv", dtype=str, keep_default_na=False).drop(columns=TIMES)
        assert "memory_mb" in table
        return [list(table.columns), *table.to_numpy().tolist()]

    again, before = lines(tmp_path / "other"), lines(finished)
    assert again == [line for line in before if line[1] in ("cell", PIXEL, "")]
    assert len(again) < len(before)
    pairs = (finished / "pairs.csv").read_text().splitlines()
    assert (tmp_path / "other" / "pairs.csv").read_text().splitlines() == [p for p in pairs if FOURIER not in p]


def test_results_do_not_depend_on_the_batch(plan: Path, finished: Path, tmp_path: Path) -> None:
    rows, pairs = tables(narrowed(images_plan(plan), PIXEL, None), tmp_path / "batches", batch=4)
    assert any(path.name.endswith("000004-000006.npz") for path in unit_files(tmp_path / "batches"))
    before, compared = read_rows(finished).drop(columns=TIMES), pd.read_csv(finished / "pairs.csv")
    before = before[before["cell"] != FOURIER].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows.drop(columns=TIMES), before, rtol=1e-5, atol=1e-5, check_dtype=False)
    pd.testing.assert_frame_equal(
        pairs, compared[compared["cell"] != FOURIER].reset_index(drop=True), rtol=1e-3, atol=1e-5
    )
    whole, parts = (
        worked(images_plan(plan), folder).images(method(images_plan(plan), "DDRM"), 0).x
        for folder in (finished, tmp_path / "batches")
    )
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-5 * float(whole.abs().max()))


def test_a_finished_run_computes_nothing(plan: Path, again: Path, calls: list[Any]) -> None:
    before, files = read_rows(again), state(unit_files(again))
    rows, _ = tables(images_plan(plan), again)
    assert calls == []
    assert state(unit_files(again)) == files
    pd.testing.assert_frame_equal(rows, before)  # times too: they are those of the run that computed


def test_lost_units_alone_are_made_again_and_alike(plan: Path, again: Path, calls: list[Any]) -> None:
    before, files = read_rows(again), state(unit_files(again))
    lost = [
        next(path for path in files if path.match(f"units/{cell}/{name}"))
        for cell, name in (
            ("k-4-c-4-hadamard", "ddrm-steps-3--prior/seed1-sample2-000000-000004.npz"),
            ("uniform-c-2.5-hermitian", "gaussian--prior/seed0-sample0-000000-000006.npz"),
        )
    ]
    for path in lost:
        path.unlink()
    rows, _ = tables(images_plan(plan), again)
    assert sorted(calls) == [(0, "reconstruct", 6), (1, "reconstruct/sample2", 4)]
    assert unit_files(again) == sorted(files)
    kept = [path for path in files if path not in lost]
    assert state(kept) == {path: files[path] for path in kept}
    pd.testing.assert_frame_equal(rows.drop(columns=TIMES), before.drop(columns=TIMES))


def test_an_added_method_and_an_added_cell_are_computed_alone(plan: Path, again: Path, calls: list[Any]) -> None:
    files, whole = state(unit_files(again)), images_plan(plan)
    added = ImageMethod("few", "exact:steps=2", particles=2)
    rows, _ = tables(dataclasses.replace(whole, methods=(*whole.methods, added)), again)
    watched = [call for call in calls if call[2] == N]  # of memory: eight particles, or all that there are
    assert [call for call in calls if call[2] == 2] == [(seed, "reconstruct", 2) for seed in (0, 1)] * 2
    assert len(watched) == 2 * 2
    assert len(calls) == 8
    assert len(rows[rows["method"] == "few"]) == 4
    calls.clear()
    free = FreeCell("all-ones", "pixel:block=2,masks=1", mask="K=2")
    tables(only(plan, "least squares", cells=(free,)), again)
    assert sorted(calls) == [*[(0, "reconstruct", 6)] * 3, (1, "reconstruct", 6)]  # two seeds, twice for memory
    assert state(sorted(files)) == files


def test_methods_of_one_solver_share_their_units(plan: Path, tmp_path: Path, calls: list[Any]) -> None:
    """A seed of its own, not a solver of its own, makes a unit."""
    one = only(plan, "DDRM", seeds=(0,))
    average = dataclasses.replace(one.methods[0], name="average", samples=2)
    both = dataclasses.replace(one, methods=(one.methods[0], average))
    cell = worked(both, tmp_path)
    for found in both.methods:
        cell.images(found, 0)
    assert [stage for _, stage, _ in calls] == ["reconstruct", "reconstruct/sample1"]


# units


def one_unit(folder: Path, name: str = "ddrm-steps-3--prior") -> Path:
    return folder / "units" / "k-4-c-4-hadamard" / name / "seed0-sample0-000000-000006.npz"


def test_a_unit_of_another_solver_is_refused(plan: Path, again: Path) -> None:
    shutil.copy(one_unit(again, "exact-steps-4--prior"), one_unit(again))
    with pytest.raises(InputError, match=r"seed0-sample0.*made with other solver; pass another output, or delete"):
        tables(images_plan(plan), again)


def test_a_unit_of_another_prior_is_refused(plan: Path, again: Path, tmp_path: Path) -> None:
    loaded = load_prior(plan.parent / "prior")
    network = copy.deepcopy(loaded.denoiser.network)  # type: ignore[attr-defined]
    for weight in network.parameters():
        weight.data += 1
    (tmp_path / "prior").mkdir()
    save_prior(tmp_path / "prior", network, loaded.config)
    other = only(plan, "DDRM", prior=str(tmp_path / "prior"))
    with pytest.raises(InputError, match="made with other prior;"):
        tables(other, again)


def test_a_unit_of_another_operator_is_refused(plan: Path, again: Path) -> None:
    free = FreeCell(PIXEL, "pixel:block=4,masks=4,rows=bernoulli")
    with pytest.raises(InputError, match="made with other operator;"):
        tables(only(plan, "DDRM", pixel=(), cells=(free,)), again)


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"sigma": 0.5}, "settings"), ({"contrast": "bright"}, "settings"), ({"particles": 5}, "index")],
)
def test_a_unit_of_other_settings_is_refused(plan: Path, again: Path, changes: dict[str, Any], what: str) -> None:
    if "particles" in changes:  # the same number of images, of other particles
        shutil.move(one_unit(again), one_unit(again).with_name("seed0-sample0-000000-000005.npz"))
    with pytest.raises(InputError, match=f"made with other {what};"):
        tables(only(plan, "DDRM", **changes), again)


def test_a_unit_of_other_particles_is_refused(plan: Path, again: Path, tmp_path: Path) -> None:
    star, _ = write_particles(tmp_path, n=N)
    with pytest.raises(InputError, match="made with other particles;"):
        tables(only(plan, "DDRM", simulate=None, star=str(star)), again)


def test_other_simulated_particles_are_refused(plan: Path, again: Path) -> None:
    wanted = images_plan(plan).simulate
    assert wanted is not None
    with pytest.raises(InputError, match="simulate with other snr; pass another output"):
        tables(only(plan, "DDRM", simulate=dataclasses.replace(wanted, snr=2.0)), again)


def test_every_seed_has_units_and_images_of_its_own(plan: Path, finished: Path) -> None:
    cell, whole = worked(images_plan(plan), finished), images_plan(plan)
    first, second = (cell.images(method(whole, "DDRM"), seed).x for seed in (0, 1))
    assert float((first - second).abs().max()) > 0.1
    least, squares = (cell.images(method(whole, "least squares"), seed).x for seed in (0, 1))
    assert torch.equal(least, squares)


def test_a_damaged_unit_is_named_on_the_command_line(
    plan: Path, again: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = one_unit(again)
    unit.write_bytes(unit.read_bytes()[:-200])
    with pytest.raises(SystemExit) as left:
        cli.main(["bench", str(plan), "-o", str(again), "--threads", "1"])
    assert left.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert str(unit) in said
    assert "not a finished piece of a benchmark" in said
    assert "delete it" in said


@pytest.mark.parametrize("place", ["cryoprior.benchmark.images.units.np.savez", "cryoprior.solvers.ddrm.Ddrm.solve"])
def test_an_interrupted_run_leaves_no_half_written_unit(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    wanted, folder = only(plan, "least squares", "DDRM", seeds=(0,)), tmp_path / "out"

    def interrupted(*given: Any, **more: Any) -> None:
        if hasattr(given[0], "write"):
            given[0].write(b"half")
        raise KeyboardInterrupt

    worked(wanted, folder).images(method(wanted, "least squares"), 0)
    with monkeypatch.context() as patch:
        patch.setattr(place, interrupted)
        with pytest.raises(KeyboardInterrupt):
            tables(wanted, folder)
    assert [path.parent.name for path in unit_files(folder)] == ["least-squares--no-prior"]
    rows, _ = tables(wanted, folder, watched=False)
    assert {"least squares", "DDRM"} <= set(rows["method"])
    assert not list(folder.rglob("*.partial"))


def test_images_that_are_not_finite_are_refused(plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reconstruct = Reconstructor.reconstruct

    def diverging(self: Reconstructor, y: torch.Tensor, particles: Any) -> Reconstructed:
        found = reconstruct(self, y, particles)
        broken = dataclasses.replace(found.solution, x=found.solution.x / 0)
        return dataclasses.replace(found, solution=broken)

    monkeypatch.setattr(Reconstructor, "reconstruct", diverging)
    with pytest.raises(InputError, match=f"{PIXEL}: images by DDRM are not finite"):
        tables(only(plan, "DDRM"), tmp_path / "out")
    assert unit_files(tmp_path / "out") == []


# averages and pairs


def test_an_average_is_the_mean_of_its_samples(plan: Path, finished: Path) -> None:
    whole = images_plan(plan)
    cell, average = worked(whole, finished), method(whole, "DDRM, mean of 3")
    assert average.estimate == "mean"
    found = cell.images(average, 0)
    units = one_unit(finished).parent
    parts = [np.load(units / f"seed0-sample{k}-000000-000004.npz")["x"] for k in range(3)]
    np.testing.assert_allclose(found.x.numpy(), np.mean(parts, axis=0), atol=1e-6)
    assert np.std(parts, axis=0).mean() > 0.05
    assert (found.evaluations, found.backward) == (9, 0)
    y = cell.operator.forward(found.x, cell.particles[:FEW])
    expected = (y - cell.y[:FEW]).norm(dim=1) / cell.y[:FEW].norm(dim=1)
    torch.testing.assert_close(found.residual, expected.double(), rtol=1e-3, atol=1e-7)
    first = cell.images(method(whole, "DDRM"), 0).x[:FEW]
    torch.testing.assert_close(torch.from_numpy(parts[0]), first, rtol=0, atol=1e-5)


def test_evaluations_of_an_average_add_up(finished: Path) -> None:
    at = read_rows(finished).query("cell == @PIXEL and seed == 1").set_index("method")
    assert at.loc["DDRM, mean of 3", "evaluations"] == 3 * at.loc["DDRM", "evaluations"] == 9


@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_the_first_sample_is_that_of_reconstruct(plan: Path, tmp_path: Path, sigma: float) -> None:
    whole = only(plan, "DDRM", seeds=(1,), sigma=sigma)
    cell = worked(whole, tmp_path / "out")
    ours = cell.images(whole.methods[0], 1).x.numpy()
    star, measured = cell.work.stacks[0].path, tmp_path / "y.zarr"
    measure.run(measure.Options(star, output=measured, operator=cell.cell.operator, sigma=sigma))
    if sigma:  # its noise is a stream of its own, so it gets ours
        import zarr

        array = zarr.open(str(measured), mode="r+")["y"]
        assert np.std(np.asarray(array) - cell.y.numpy()) == pytest.approx(sigma * 2**0.5, rel=0.1)
        array[:] = cell.y.numpy()
        reseal(measured)
    options = reconstruct.Options(
        measured, output=tmp_path / "x", prior=str(plan.parent / "prior"), solver="ddrm:steps=3", seed=1
    )
    reconstruct.run(options)
    theirs = read_particles(tmp_path / "x" / "particles.star").read(slice(None))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def test_pairs_are_of_one_kind_and_two_of_ours_meet_once(finished: Path) -> None:
    pairs = pd.read_csv(finished / "pairs.csv")
    met = pairs[pairs["cell"] == PIXEL][["ours", "other", "estimate", "n"]]
    assert sorted(map(tuple, met.to_numpy().tolist())) == [
        ("exact mean", "DDRM, mean of 3", "mean", FEW),
        ("exact sample", "DDRM", "sample", N),
        ("exact sample", "DPS", "sample", 2),
        ("wiener", "DDRM, mean of 3", "mean", FEW),
        ("wiener", "exact mean", "mean", N),
    ]
    assert len(pairs[pairs["cell"] == FOURIER]) == 4
    line = pairs.query("cell == @PIXEL and other == 'DPS'").iloc[0]
    costs = ["evaluations_ours", "evaluations_other", "backward_other", "ratio"]
    assert line[costs].tolist() == [3, 3, 3, 1]
    rows = pd.read_csv(finished / "rows.csv").query("cell == @PIXEL and seed == 0").set_index("method")
    pair = pairs.query("cell == @PIXEL and other == 'DDRM'").iloc[0]
    assert [pair["power_ours"], pair["power_other"]] == rows.loc[["exact sample", "DDRM"], "power"].tolist()


def test_paired_differences_are_those_of_the_images(plan: Path, finished: Path) -> None:
    whole = images_plan(plan)
    cell = worked(whole, finished)
    clean = cell.work.clean
    assert clean is not None

    def sums(name: str) -> PairSums:
        first, second = (cell.images(method(whole, name), seed).x[:FEW] for seed in (0, 1))
        return PairSums.of(first, clean[:FEW]) + PairSums.of(second, clean[:FEW])

    expected = pooled_gain(sums("exact mean"), sums("DDRM, mean of 3"))
    line = pd.read_csv(finished / "pairs.csv").query("cell == @PIXEL and other == 'DDRM, mean of 3'").iloc[-1]
    assert line["ours"] == "exact mean"
    for score in ("correlation", "frc"):
        assert line[[score, f"{score}_error"]].tolist() == pytest.approx(expected[score], rel=1e-4, abs=1e-7)


@pytest.mark.parametrize(
    ("frc", "verdict"), [(-0.0201, "LOWER"), (-0.0199, "not lower"), (0.0, "not lower"), (0.5, "not lower")]
)
def test_lower_is_below_by_more_than_two_errors(
    plan: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, frc: float, verdict: str
) -> None:
    monkeypatch.setattr(image_pairs, "pooled_gain", lambda *_: {"correlation": [-1.0, 0.01], "frc": [frc, 0.01]})
    cell = worked(only(plan, "wiener", "exact mean"), finished)
    pairs = ImagePairs(cell.work.plan, Scorer(cell.work.original, cell.work.clean, None))
    images = {(m.name, seed): cell.images(m, seed) for m in cell.wanted() for seed in (0, 1)}
    assert [pair["verdict"] for pair in pairs.cell(cell, images)] == [verdict]


# other particles and settings


def write_particles(folder: Path, n: int = 5, box: int = 32) -> tuple[Path, Path]:
    """Write noisy and clean images of a blob at random places, and return their star files."""
    rng = np.random.default_rng(3)
    axis = np.arange(box) - box // 2
    shift = rng.uniform(-box / 8, box / 8, (2, n, 1, 1))
    clean = np.exp(-((axis[:, None] - shift[0]) ** 2 + (axis[None] - shift[1]) ** 2) / (box / 5) ** 2)
    noisy = clean + 0.5 * rng.normal(size=clean.shape)
    for name, images in (("noisy", noisy), ("clean", clean)):
        write_stack(folder / f"{name}.mrcs", images.astype(np.float32), 4.0)
        names = [f"{i + 1:06d}@{name}.mrcs" for i in range(n)]
        optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [4.0], "rlnImageSize": [box]})
        write_star(folder / f"{name}.star", pd.DataFrame({"rlnImageName": names, "rlnOpticsGroup": 1}), optics)
    return folder / "noisy.star", folder / "clean.star"


def test_without_clean_images_there_is_no_signal_and_no_pair(plan: Path, tmp_path: Path) -> None:
    star, _ = write_particles(tmp_path)
    wanted = only(plan, "wiener", "exact mean", simulate=None, star=str(star), seeds=(0,))
    rows, pairs = tables(wanted, tmp_path / "out", watched=False)
    assert len(pairs) == 0
    assert rows[["correlation", "frc", "frc_gain"]].isna().all(axis=None)
    assert rows[["ssim", "psnr", "power"]].notna().all(axis=None)
    assert "Comparisons" not in (tmp_path / "out" / "table.md").read_text()


def test_clean_images_of_a_stack_are_judged_by(plan: Path, tmp_path: Path) -> None:
    star, clean = write_particles(tmp_path)
    wanted = only(
        plan, "wiener", "exact mean", simulate=None, star=str(star), clean=str(clean), seeds=(0,), particles=4
    )
    rows, pairs = tables(wanted, tmp_path / "out", watched=False)
    assert len(pairs) == 1
    found = worked(wanted, tmp_path / "out").images(method(wanted, "exact mean"), 0).x
    known = torch.from_numpy(read_particles(clean).read(slice(4)))
    expected = pooled_scores(PairSums.of(found, known))
    line = rows.set_index("method").loc["exact mean"]
    assert line["n"] == 4
    assert line[["correlation", "frc"]].tolist() == pytest.approx([expected["correlation"], expected["frc"]], rel=1e-5)


@pytest.mark.parametrize("resize", ["fourier", "bicubic"])
def test_a_stack_is_resized_as_measure_resizes_it(plan: Path, tmp_path: Path, resize: str) -> None:
    star, clean = write_particles(tmp_path, box=48)
    changes = {"simulate": None, "star": str(star), "clean": str(clean), "box": 32, "resize": resize, "seeds": (0,)}
    wanted = only(plan, "least squares", **changes)
    rows, _ = tables(wanted, tmp_path / "out", watched=False)
    work = ImageWork(wanted, tmp_path / "out")
    expected = read_particles(star).resized(32, resize).read(slice(None))
    np.testing.assert_array_equal(work.original.numpy(), expected)
    assert work.clean is not None
    assert work.clean.shape == (5, 32, 32)
    assert rows["stored"].max() == 32 * 32
    assert "32 pixels of 6.000 Å" in (tmp_path / "out" / "table.md").read_text()


def test_noise_is_added_to_each_number(plan: Path, tmp_path: Path) -> None:
    noisy, clean = (worked(only(plan, "wiener", sigma=sigma), tmp_path / f"{sigma}") for sigma in (0.5, 0.0))
    noise = noisy.y - clean.y
    assert float(noise.std()) == pytest.approx(0.5, rel=0.05)
    assert abs(float(torch.corrcoef(noise[:2])[0, 1])) < 0.2
    wiener = noisy.work.plan.methods[0]
    residual = noisy.images(wiener, 0).residual
    assert float(residual.min()) > 10 * float(clean.images(wiener, 0).residual.max())
    assert "Noise added to each number: 0.5" in table_of(noisy.work.plan, tmp_path / "0.5")


def table_of(plan: ImagesPlan, folder: Path) -> str:
    tables(plan, folder, watched=False)
    return (folder / "table.md").read_text()


def test_a_solver_that_differentiates_needs_more_memory(finished: Path) -> None:
    peak = read_rows(finished).query("cell == @PIXEL and seed == 0").set_index("method")["memory_mb"]
    assert peak["DPS"] > 1.2 * peak["DDRM"]
    assert peak["DDRM"] > peak["least squares"] > 0
    assert peak["DDRM, mean of 3"] == peak["DDRM"]


def test_rows_of_table_5_are_taken_from_other_commands(plan: Path, tmp_path: Path) -> None:
    states = {"agreement": 0.913, "agreement_by_cluster": [0.95, 0.8]}
    model = {"confidence_a": 61.5, "confidence_b": 58.25, "chains_a": 12, "chains_b": 11, "pairs": 9}
    for name, summary in (("het", states), ("model", {**model, "mean_rmsd_angstrom": 2.34})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(json.dumps(summary))
    text = (
        plan.read_text()
        + f"""
[[downstream]]
method = "exact"
heterogeneity = "{tmp_path}/het"
model = "{tmp_path}/model"
[[downstream]]
method = "nesterov"
heterogeneity = "{tmp_path}/het"
"""
    )
    wanted = only(write_plan(tmp_path, text, plan), "least squares", seeds=(0,))
    found = table_of(wanted, tmp_path / "out")
    assert "| exact | 95.0 % | 80.0 % | 91.3 % | 12 / 11 | 9 | 2.34 | 61.5 / 58.2 |" in found
    assert "| nesterov | 95.0 % | 80.0 % | 91.3 % |  |  |  |  |" in found


def test_a_summary_of_other_types_is_refused_by_name(plan: Path, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({"agreement": 0.9, "agreement_by_cluster": 5}))
    text = plan.read_text() + f'\n[[downstream]]\nmethod = "exact"\nheterogeneity = "{tmp_path}"\n'
    wanted = only(write_plan(tmp_path, text, plan), "least squares", seeds=(0,))
    with pytest.raises(InputError, match=r"summary.json: agreement_by_cluster is 5; expected a summary"):
        table_of(wanted, tmp_path / "out")


def test_published_figures_stand_beside(plan: Path, tmp_path: Path) -> None:
    (tmp_path / "paper.csv").write_text("mask,compression,lpips,ssim\nK=4,4.1,0.27,0.18\n")
    wanted = only(plan, "least squares", published=str(tmp_path / "paper.csv"), seeds=(0,))
    assert ".27 / .18" in table_of(wanted, tmp_path / "out")


# refusals


def write_plan(folder: Path, text: str, plan: Path) -> Path:
    """Write a plan whose map and prior are those of another."""
    path = folder / "plan.toml"
    path.write_text(
        text.replace('"blobs.mrc"', f'"{plan.parent}/blobs.mrc"').replace('"prior"', f'"{plan.parent}/prior"')
    )
    return path


GRIDS = PLAN[PLAN.index("[[pixel]]") : PLAN.index("[[methods]]")]
MEAN_OF_3 = "samples = 3\nparticles = 4"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "small"', 'title = "small"\nstar = "a.star"', "either .simulate. or star"),
        ('title = "small"', 'title = "small"\nclean = "a.star"', "belongs to star"),
        (GRIDS, "", "no cell;"),
        ("compressions = [4.0]", "compressions = [4.0, 4.0]", "cells named K=4 C=4 hadamard more than once"),
        ("compressions = [4.0]", "compressions = [0.0]", "block = 4: compressions .0.0.; expected numbers above 0"),
        ("compressions = [2.5]", "compressions = [-2.5]", "'uniform': compressions .-2.5.; expected numbers above 0"),
        ("compressions = [4.0]", "compressions = [40.0]", "masks=0"),
        ("block = 4", "block = 5", "block 5|box 32"),
        ("block = 4", "block = 1000000", "block = 1000000; expected 1 to 4096"),
        ("block = 4", "block = 4\nsets = 10000000", "sets=10000000; expected 1 to 1000000"),
        ("compressions = [2.5]", "compressions = [inf]", "expected a finite number"),
        ('lpips = "off"', "sigma = nan", "sigma: nan; expected a finite number"),
        ("seeds = [0, 1]", f"seeds = {list(range(20000))}", "reconstructions of cells; expected at most 100000"),
        ('pattern = "uniform"', 'pattern = "stripes"', "stripes"),
        ('name = "wiener"', 'name = "DDRM"', "methods named DDRM more than once"),
        ("seeds = [0, 1]", "seeds = []", "expected at least one, each once"),
        ("seeds = [0, 1]", "seeds = [1, 1]", "expected at least one, each once"),
        ('lpips = "off"', 'lpips = "maybe"', "lpips = 'maybe'; expected one of auto, off, fetch"),
        ('lpips = "off"', 'resize = "nearest"', "resize = 'nearest'; expected one of fourier, bicubic"),
        ('lpips = "off"', 'spectrum = "white"', "spectrum = 'white'; expected one of measured, prior"),
        ('lpips = "off"', 'contrast = "grey"', "contrast = 'grey'; expected one of auto, bright, dark"),
        ('lpips = "off"', 'dtype = "int8"', "dtype = 'int8'; expected one of float32, bfloat16"),
        ('lpips = "off"', "particles = 0", "bench: particles = 0; expected at least 1"),
        ('lpips = "off"', "sigma = -0.5", "bench: sigma = -0.5; expected at least 0"),
        ('lpips = "off"', "box = 1", "bench: box = 1; expected at least 2"),
        (MEAN_OF_3, "samples = 0", "DDRM, mean of 3: samples = 0; expected at least 1"),
        (MEAN_OF_3, "particles = -1", "DDRM, mean of 3: particles = -1; expected at least 1"),
        ('"gaussian"', '"gaussian"\nsamples = 2', "wiener: samples = 2, but gaussian gives none"),
        ('\ncells = ["K=4 C=4 hadamard"]', '\ncells = ["K=9"]', "DPS: cells: no K=9; expected some of K=4 C=4"),
        ('named = ["K=4 C=4 hadamard"]', 'named = ["K=9"]', "named: no K=9"),
        ('headline = ["exact mean"]', 'headline = ["best"]', "headline: no best; expected some of DDRM"),
        ('solver = "ddrm:steps=3"', 'solver = "ddrm:steps=0"', "steps=0"),
        ('solver = "gaussian"', 'solver = "magic"', "magic"),
        ('["float16", "integer:bits=3"]', '["float17"]', "no encoding is called .float17"),
        ('"integer:bits=3"', '"float16"', "encodings named float16 more than once"),
        ('title = "small"', 'title = "small"\nsymmetry = "C1"', "unknown symmetry"),
        ("ours = true", "ours = 1", "expected bool"),
    ],
)  # fmt: skip
def test_a_wrong_plan_is_refused_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in PLAN
    path = tmp_path / "plan.toml"
    path.write_text(PLAN.replace(old, new))
    with pytest.raises(InputError, match=message):
        read_plan(path)


def test_a_plan_without_methods_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text("methods = []\n" + PLAN[: PLAN.index("[[methods]]")].replace("exact mean", ""))
    with pytest.raises(InputError, match="no method; add"):
        read_plan(tmp_path / "plan.toml")


def test_an_unknown_solver_field_leaves_with_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plan.toml").write_text(PLAN.replace("ddrm:steps=3", "ddrm:pace=3"))
    with pytest.raises(SystemExit) as left:
        cli.main(["bench", str(tmp_path / "plan.toml"), "-o", str(tmp_path / "out")])
    assert left.value.code == 2
    assert "pace" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def broken(folder: Path, name: str, text: str) -> str:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return str(folder / name)


def wrong_inputs() -> Iterator[tuple[Callable[[Path, Path], dict[str, Any]], str]]:
    """Yield what of a plan is wrong, made in a folder beside a plan, and what is said of it."""
    from cryoprior.benchmark.images.plan import DownstreamPlan

    yield lambda here, _: {"published": str(here / "none.csv")}, "none.csv: no such file; expected a CSV"
    yield lambda here, _: {"published": broken(here, "a.csv", "mask,ssim\nK=4,1\n")}, "no column compression, lpips"
    yield lambda here, _: {"published": broken(here, "a.csv", "")}, "a.csv: not CSV"
    yield (
        lambda here, _: {"downstream": (DownstreamPlan("x", heterogeneity=str(here)),)},
        "summary.json: no such file; expected the output of cryoprior heterogeneity",
    )
    yield (
        lambda here, _: {
            "downstream": (DownstreamPlan("x", model=str(Path(broken(here, "summary.json", "{}")).parent)),)
        },
        "no confidence_a, confidence_b, .*expected the output of cryoprior model score",
    )
    yield (
        lambda here, _: {
            "downstream": (DownstreamPlan("x", model=str(Path(broken(here, "summary.json", "{")).parent)),)
        },
        "summary.json: not JSON",
    )
    yield lambda here, _: {"prior": str(here / "nowhere")}, "nowhere"
    yield lambda here, _: {"simulate": None, "star": str(here / "none.star")}, "none.star"
    yield (
        lambda here, _: {"simulate": None, "star": str(write_particles(here, box=48)[0])},
        "images of box 48; prior '.*prior' knows 32, 64; give box",
    )
    yield lambda here, _: fewer_clean(here), r"clean.star: 4 images of box 32; expected 5 of 32"
    yield (
        lambda here, _: {
            "simulate": None,
            "star": str(write_particles(here)[0]),
            "pixel": (PixelGrid(5, (2.0,)),),
        },
        "block 5|box 32",
    )  # fmt: skip


def fewer_clean(folder: Path) -> dict[str, Any]:
    star, _ = write_particles(folder)
    other = folder / "other"
    other.mkdir()
    return {"simulate": None, "star": str(star), "clean": str(write_particles(other, n=4)[1])}


@pytest.mark.parametrize(("wrong", "message"), list(wrong_inputs()))
def test_wrong_inputs_are_named(
    plan: Path, tmp_path: Path, wrong: Callable[[Path, Path], dict[str, Any]], message: str
) -> None:
    wanted = only(plan, "wiener", **wrong(tmp_path, plan))
    with pytest.raises(InputError, match=message):
        tables(wanted, tmp_path / "out")


def test_grids_name_their_cells() -> None:
    cells = list(PixelGrid(4, (16.0, 1.5), ("bernoulli", "hadamard"), sets=3).cells())
    assert [cell.name for cell in cells] == [
        f"K=4 C={c} {rows}" for c in ("16", "1.5") for rows in ("bernoulli", "hadamard")
    ]
    assert cells[2].operator == "pixel:block=4,masks=11,rows=bernoulli,sets=3"
    (fourier,) = FourierGrid("ring", (10.0,), ("published",)).cells()
    assert fourier.operator == "fourier:pattern=ring,compression=10,symmetry=published,sets=1"
    assert (fourier.series, fourier.mask, fourier.variant) == ("fourier", "ring", "published")
    (free,) = FreeCell("mine", "identity").cells()
    assert (free.series, free.mask, free.variant) == ("pixel", "mine", "")


def test_a_prior_is_looked_for_from_the_plan_and_may_be_a_methods_own(plan: Path) -> None:
    whole = images_plan(plan)
    assert whole.prior_of(method(whole, "DDRM")) == str(plan.parent / "prior")
    assert whole.prior_of(ImageMethod("m", "posterior", prior="default")) == "operator-aware"
    assert dataclasses.replace(whole, prior="default").prior_of(ImageMethod("m", "exact")) == "default"
    assert whole.prior_of(ImageMethod("m", "exact", prior="/mine")) == "/mine"


def test_an_optimum_meets_means_and_samples(plan: Path) -> None:
    ours = [ImageMethod("mean", "exact", ours=True), ImageMethod("draw", "exact:estimate=sample", ours=True)]
    peers = [
        ImageMethod("DMPlug", "dmplug", guess=True),
        ImageMethod("DDRM", "ddrm"),
        ImageMethod("LS", "least-squares"),
    ]
    changes = {"methods": (*ours, *peers), "headline": ()}
    for against, more in (((), []), (("LS",), ["LS"])):
        pairs = ImagePairs(images_plan(plan, against=against, **changes), Scorer(torch.zeros(1, 4, 4), None, None))
        met = [[m.name for m in pairs._others(method, [*ours, *peers])] for method in ours]
        assert met == [["DMPlug", *more], ["DMPlug", "DDRM", *more]]


# what a plan may ask for besides


@pytest.fixture(scope="module")
def asked_more(plan: Path) -> Path:
    """Return the folder of a plan with the paper's grid, methods of another kind, and what samples invent."""
    lines = "mask,compression,lpips,ssim,value\nK=4,16,.3,.01,\nK=4,4,.1,.99,\nK=4,1,.1,.5,\nring,2.5,.1,.6,\n,,,,9\n"
    (plan.parent / "paper.csv").write_text(lines)
    methods = [
        ImageMethod("least squares", "least-squares"),
        ImageMethod("exact mean", "exact:steps=4", ours=True),
        ImageMethod("draws", "exact:estimate=sample,steps=3", samples=3, particles=FEW),
    ]
    more = images_plan(
        plan,
        pixel=(),
        fourier=(),
        named=(),
        seeds=(0,),
        methods=tuple(methods),
        grid=PublishedGrid(rows=("hadamard",), symmetry=("published",), at_least=2.0),
        published="paper.csv",
        against=("least squares",),
        unmeasured=True,
        fewer_particles=True,
    )
    tables(more, plan.parent / "more")
    return plan.parent / "more"


def test_the_grid_of_the_paper_has_its_cells(asked_more: Path) -> None:
    rows = pd.read_csv(asked_more / "rows.csv")
    cells = ["K=4 C=16 hadamard", "K=4 C=4 hadamard", "ring C=2.5 published"]
    assert list(dict.fromkeys(rows["cell"].dropna())) == cells
    short = next(
        line for line in (asked_more / "table.md").read_text().splitlines() if line.startswith("| exact mean | 3 |")
    )
    assert "K=4 C=4 hadamard" in short.split("|")[3]
    assert "K=4 C=16 hadamard" not in short.split("|")[3]


def test_masks_of_the_grid_may_be_chosen_and_must_be_published(plan: Path, asked_more: Path) -> None:
    del asked_more
    grid = PublishedGrid(symmetry=("hermitian",), masks=("ring",))
    changes = {"pixel": (), "fourier": (), "named": (), "published": "paper.csv"}
    few = tuple(m for m in images_plan(plan).methods if not m.cells)
    chosen = images_plan(plan, grid=grid, methods=few, **changes)
    assert [cell.name for cell in chosen.all_cells] == ["ring C=2.5 hermitian"]
    with pytest.raises(InputError, match=r"\[grid\]: masks K=5; expected some of K=4, ring"):
        dataclasses.replace(chosen, grid=PublishedGrid(rows=("hadamard",), masks=("K=5",)))
    with pytest.raises(InputError, match=r"\[grid\] without published"):
        dataclasses.replace(chosen, published=None)


def test_ours_meets_what_the_plan_names_with_its_ssim(plan: Path, asked_more: Path) -> None:
    pairs = pd.read_csv(asked_more / "pairs.csv")
    assert set(zip(pairs["other"], pairs["estimate"], strict=True)) == {("least squares", "other"), ("draws", "mean")}
    rows = pd.read_csv(asked_more / "rows.csv").set_index(["cell", "method"])
    line = pairs.query("cell == 'K=4 C=4 hadamard' and other == 'least squares'").iloc[0]
    assert line["ssim"] == pytest.approx(rows.loc[("K=4 C=4 hadamard", "exact mean"), "ssim_gain"], abs=1e-6)
    assert line["ssim_error"] > 0


def test_fewer_whole_particles_are_a_control(plan: Path, asked_more: Path) -> None:
    row = (
        pd.read_csv(asked_more / "rows.csv")
        .query("cell == 'ring C=2.5 published' and method == 'fewer particles'")
        .iloc[0]
    )
    work = ImageWork(images_plan(plan), plan.parent / "out")
    blank = work.original.clone()
    blank[2:] = 0  # of six particles at C = 2.5
    assert work.clean is not None
    assert row["correlation"] == pytest.approx(pooled_scores(PairSums.of(blank, work.clean))["correlation"], rel=1e-4)
    assert (row["kind"], np.isnan(row["ssim"])) == ("control", True)


def test_images_are_held_against_what_was_not_measured(plan: Path, asked_more: Path) -> None:
    lines = pd.read_csv(asked_more / "unmeasured.csv").set_index(["cell", "method"])
    cell = worked(images_plan(plan), asked_more)
    drawn = ImageMethod("draws", "exact:estimate=sample,steps=3", samples=3, particles=FEW)
    draws = [sample.x for sample in cell.samples(drawn, 0)]
    original, line = cell.work.original[:FEW], lines.loc[(PIXEL, "draws")]
    power, shares = missing_power(cell.operator, draws[0], original), coverage(cell.operator, draws, original)
    assert line[["n", "samples"]].tolist() == [FEW, 3]
    assert line["power_mean"] == pytest.approx(power["mean"], rel=1e-4)
    assert line["covered_80%"] == pytest.approx(shares[0.8][0], rel=1e-4)
    assert cell.work.clean is not None
    mean = lines.loc[(PIXEL, "exact mean")]
    x = cell.images(ImageMethod("exact mean", "exact:steps=4"), 0).x
    hidden = [unmeasured(cell.operator, images, cell.particles) for images in (x, cell.work.clean)]
    assert mean["correlation"] == pytest.approx(pooled_scores(PairSums.of(*hidden))["correlation"], rel=1e-4)
    assert np.isnan(mean["power_mean"])
    assert "### Where nothing was measured" in (asked_more / "table.md").read_text()
    assert pd.read_csv(asked_more / "pairs.csv")["unmeasured_error"].gt(0).all()


def test_a_plan_may_be_looked_at_in_part(plan: Path) -> None:
    small = narrowed(images_plan(plan), "K=4 hadamard, spoke", 2)
    assert [cell.name for cell in small.all_cells] == [PIXEL]
    assert (small.particles, small.named) == (2, (PIXEL,))
    assert method(small, "DPS").cells == (PIXEL,)
    other = narrowed(images_plan(plan), "uniform", None)
    assert [cell.name for cell in other.all_cells] == [FOURIER]
    assert "DPS" not in [m.name for m in other.methods]
    assert other.named == ()
    with pytest.raises(InputError, match="expected words of the names"):
        narrowed(images_plan(plan), "K=5", None)
