"""A benchmark from its TOML file: what it refuses, what it leaves, and that it goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoprior.benchmark import command as bench
from cryoprior.benchmark.maps.images import BenchImages
from cryoprior.benchmark.maps.table import MapBench
from cryoprior.benchmark.plan import MapsPlan
from cryoprior.benchmark.steps import run_step, slug
from cryoprior.benchmark.toml import read_plan
from cryoprior.commands import load_command
from cryoprior.errors import InputError
from cryoprior.io import write_map
from cryoprior.output.folder import resume_output

PLAN = """
table = "maps"
encodings = ["integer:bits=4"]
title = "small"
prior_weights = [1.0, 0.5]
passes = 2
pictured = ["half"]
[simulate]
structures = ["{map}"]
n = 24
box = 32
pixel_size = 5.0
snr = 5.0
[[cells]]
name = "half"
operator = "fourier:compression=2,sets=4"
series = "fourier"
[[cells]]
name = "K=4"
operator = "pixel:block=4,masks=4,rows=hadamard,sets=4"
series = "pixel"
[[methods]]
name = "wiener"
solver = "gaussian"
prior = "{prior}"
[[methods]]
name = "few"
solver = "gaussian"
prior = "{prior}"
particles = 12
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, tiny_prior: Path) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    axis = np.arange(32) - 16
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    blobs = [((z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2) / 12 for a, b, c in ((3, -4, 2), (-5, 3, 4), (0, 5, -6))]
    write_map(folder / "blobs.mrc", sum(np.exp(-r) for r in blobs).astype(np.float32), 5.0)
    path = folder / "plan.toml"
    path.write_text(PLAN.format(map="blobs.mrc", prior=tiny_prior))
    return path


@pytest.fixture(scope="module")
def finished(plan: Path) -> Path:
    output = plan.parent / "out"
    bench.run(bench.Options(plan, output, threads=1))
    return output


def test_every_row_has_its_numbers(finished: Path) -> None:
    rows = pd.read_csv(finished / "rows.csv", keep_default_na=False)
    assert (rows["compression"] >= 1).all()
    at = rows.groupby("particles")["method"].agg(list)
    expected = [
        "prior-free map",
        "fewer particles",
        "crop",
        "quantize",
        "least squares",
        "wiener",
        "wiener, weight 0.5",
    ]
    assert set(expected) <= set(at[24])
    assert "few" not in set(at[24])
    assert {"few", "wiener"} <= set(at[12])
    assert "bin" in set(rows[rows["cell"] == "K=4"]["method"])
    assert rows["truth_correlation"].notna().all()
    fewer = rows[(rows["method"] == "fewer particles") & (rows["cell"] == "half") & (rows["particles"] == 24)]
    assert fewer["kept"].item() == 12


def test_bytes_stand_beside_compression(finished: Path) -> None:
    rows = pd.read_csv(finished / "rows.csv", keep_default_na=False)
    sizes = rows.groupby("cell")["bytes_per_particle"].agg(set).to_dict()
    assert sizes == {"": {4096}, "half": {2048}, "K=4": {1024}, "integer:bits=4": {520}}
    text = (finished / "table.md").read_text()
    assert "| cell | C | bytes |" in text
    assert "half | 2 | 2,048 |" in text


def test_formats_stand_beside_masks_and_fewer_particles(finished: Path) -> None:
    rows = pd.read_csv(finished / "rows.csv", keep_default_na=False)
    of = rows[(rows["series"] == "storage") & (rows["particles"] == 24)].set_index("method")
    assert set(of.index) == {"prior-free map", "fewer particles"}
    full = rows[(rows["method"] == "full particles") & (rows["particles"] == 24)]["truth_correlation"].item()
    stored, fewer = (float(of.loc[name, "truth_correlation"]) for name in ("prior-free map", "fewer particles"))
    assert fewer < stored
    assert stored == pytest.approx(float(full), abs=0.02)
    assert stored != float(full)
    assert of.loc["fewer particles", "kept"] == round(24 * 520 / 4096)
    assert "storage integer:bits=4 | 7.88 | 520 |" in (finished / "table.md").read_text()


def test_differences_are_those_of_the_curves(finished: Path) -> None:
    curves = pd.read_csv(finished / "fsc.csv", keep_default_na=False)
    chosen = curves[(curves["cell"] == "half") & (curves["particles"] == 24)]
    by = {method: rows["fsc_truth"].to_numpy()[1:-1] for method, rows in chosen.groupby("method")}
    difference = by["wiener"] - by["prior-free map"]
    text = (finished / "table.md").read_text()
    assert "FSC with the true map less that of the prior-free map, 24 particles" in text
    assert f"{difference.min():+.3f} ({difference.argmin() + 1})" in text


def test_more_is_better(finished: Path) -> None:
    rows = pd.read_csv(finished / "rows.csv", keep_default_na=False)
    full = rows[(rows["method"] == "full particles") & (rows["particles"] == 24)]["truth_correlation"].item()
    fewer = rows[(rows["method"] == "fewer particles") & (rows["particles"] == 24)]["truth_correlation"]
    assert (fewer.astype(float) < float(full)).all()


def test_tables_pictures_and_page_are_there(finished: Path) -> None:
    names = {p.name for p in finished.iterdir()}
    assert {"report.html", "table.md", "fsc.csv", "summary.json", "provenance.json", "slices-half.png"} <= names
    assert {"surfaces-half.png", "resolution-truth-fourier-24.png", "resolution-half-maps-pixel-12.png"} <= names
    assert "| fourier half | 2 |" in (finished / "table.md").read_text()
    curves = pd.read_csv(finished / "fsc.csv", keep_default_na=False)
    assert len(curves[(curves["method"] == "crop") & (curves["cell"] == "half") & (curves["particles"] == 24)]) == 17


def rows_of(plan: Path, folder: Path) -> list[dict[str, object]]:
    """Return the rows of a plan, those that are finished from their files, without pictures."""
    found = read_plan(plan)
    return [row.flat() for row in MapBench(found, BenchImages(found, folder, threads=1), folder).rows()]


def test_a_finished_run_is_not_computed_again(plan: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    for command in ("simulate", "measure", "reconstruct"):
        monkeypatch.setattr(load_command(command), "run", refuse)
    monkeypatch.setattr("cryoprior.benchmark.maps.rows.solve_maps", refuse)
    assert len(rows_of(plan, finished)) == len(pd.read_csv(finished / "rows.csv"))


def test_a_lost_row_is_made_again_and_alike(plan: Path, finished: Path) -> None:
    before = rows_of(plan, finished)
    lost = finished / "maps" / "12" / "fourier-half" / "few" / "row.json"
    lost.unlink()
    assert rows_of(plan, finished) == before
    assert lost.is_file()


def test_a_step_of_other_options_is_refused(finished: Path, plan: Path) -> None:
    cell = finished / "cells" / "fourier-half" / "measurements.zarr"
    recorded = json.loads((cell / "provenance.json").read_text())["options"]
    particles = Path(recorded["particles"])
    with pytest.raises(InputError, match="with other operator; pass another output"):
        run_step("measure", cell, particles=particles, operator="fourier:compression=4,sets=4", seed=0)


def test_a_row_of_another_plan_is_refused(plan: Path, finished: Path, tmp_path: Path) -> None:
    other = plan.parent / "other.toml"
    other.write_text(plan.read_text().replace("n = 24", "n = 20"))
    with pytest.raises(InputError, match="simulate with other n"):
        rows_of(other, finished)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('table = "maps"', 'table = "chairs"', "expected table = 'maps'"),
        ("n = 24", "n = 'many'", "simulate, n: 'many'; expected int"),
        ("n = 24", "m = 24", "unknown m"),
        ("n = 24\n", "", "without n"),
        ('pictured = ["half"]', 'pictured = ["quarter"]', "no cell named quarter"),
        ("prior_weights = [1.0, 0.5]", "prior_weights = [2.0]", "expected numbers from 0 to 1"),
        ('solver = "gaussian"', 'solver = "magic"', "magic"),
        ("compression=2,", "compression=0.5,", "compression=0.5"),
        ('name = "few"', 'name = "wiener"', "more than once"),
        ("[simulate]", "[simulate", "not TOML"),
        ("{map}", "${NOT_THERE}/x.mrc", r"names a variable .* add environment = ..NOT_THERE.. above its tables"),
        ('table = "maps"', 'table = "maps"\nenvironment = ["NOT_THERE"]', "the environment has no NOT_THERE; set it"),
        ('table = "maps"', 'table = "maps"\nenvironment = "HOME"', "environment = HOME; expected a list"),
        ("{map}", "${HOME}/x.mrc", "names a variable of the environment that the plan does not list"),
        ("snr = 5.0", "snr = inf", "simulate, snr: inf; expected a finite number"),
        ("n = 24", "n = 1000000000000", "simulate, n: 1000000000000; expected at most"),
        ("[simulate]", "x = " + "[" * 100_000 + "\n[simulate]", "nested too deep|not TOML"),
    ],
)
def test_a_wrong_plan_is_refused_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in PLAN
    path = tmp_path / "plan.toml"
    path.write_text(PLAN.replace(old, new).replace("{map}", "a.mrc").replace("{prior}", "default"))
    with pytest.raises(InputError, match=message):
        read_plan(path)


def test_a_variable_that_the_plan_lists_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", 'a "quoted" place')
    path = tmp_path / "plan.toml"
    listed = PLAN.replace('table = "maps"', 'table = "maps"\nenvironment = ["PLACE"]')
    path.write_text(listed.replace("{map}", "${PLACE}/a.mrc").replace("{prior}", "default"))
    plan = read_plan(path)
    assert isinstance(plan, MapsPlan)
    assert plan.simulate is not None
    assert plan.simulate.structures[0] == 'a "quoted" place/a.mrc'


def test_a_plan_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_bytes(b'table = "m\xffps"')
    with pytest.raises(InputError, match="not TOML"):
        read_plan(path)
    path.write_bytes(b"#" * (2 << 20))
    with pytest.raises(InputError, match="2097152 bytes; expected a benchmark"):
        read_plan(path)


def test_a_folder_of_something_else_is_left_alone(plan: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="in use by something else"):
        bench.run(bench.Options(plan, tmp_path))
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == ["thesis.txt"]


def test_a_missing_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_plan(tmp_path / "none.toml")


def test_a_slug_is_a_path() -> None:
    assert slug("pixel K=16 C=1.3, weight 0.5") == "pixel-k-16-c-1.3-weight-0.5"


@pytest.mark.parametrize(("name", "cells"), [("table3", 10), ("unseen_map", 6)])
def test_the_committed_plans_are_read(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch, name: str, cells: int
) -> None:
    monkeypatch.setenv("CRYOPRIOR_SHARED_DATA", str(shared_data))
    plan = read_plan(Path(__file__).resolve().parents[2] / "benchmarks" / "maps" / f"{name}.toml")
    assert len(plan.cells) == cells
    assert plan.simulate is not None
    assert plan.path(plan.simulate.structures[0]).is_file()


def test_a_folder_keeps_its_kind_of_table(plan: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with resume_output(output, "bench", {"table": "images"}) as work:
        (work.folder / "plan.toml").write_text('table = "images"\n')
    with pytest.raises(InputError, match=r"out: the output is in use by a run with other table; pass another"):
        bench.run(bench.Options(plan, output, threads=1))
    assert (output / "plan.toml").read_text() == 'table = "images"\n'


def test_a_folder_that_holds_an_input_is_refused(plan: Path) -> None:
    before = sorted(plan.parent.iterdir())
    with pytest.raises(InputError, match=r"holds .*plan.toml, which this run reads"):
        bench.run(bench.Options(plan, plan.parent, threads=1))
    assert sorted(plan.parent.iterdir()) == before
