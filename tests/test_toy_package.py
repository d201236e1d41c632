"""Components of another package, really installed: found, listed, used by every command, and missed when it is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cryoprior import cli
from cryoprior.io import write_map

KIT = Path(__file__).parent / "kit"
SOURCE = Path(__file__).parents[1] / "src"
TEXT = "stripes:box=16,seed=0,sets=2,every=2"


def python(folder: Path, *words: str, beside: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Return what Python does in a folder, with packages of a folder beside this one."""
    path = os.pathsep.join(str(place) for place in (SOURCE, beside) if place is not None)
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that pip has installed the package into, offline."""
    target = tmp_path_factory.mktemp("site")
    offline = ("--no-build-isolation", "--no-index", "--no-deps", "--disable-pip-version-check")
    made = python(target, "-m", "pip", "install", *offline, "--target", str(target), str(KIT / "toy_package"))
    assert made.returncode == 0, made.stderr
    return target


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("used")
    axis = np.arange(32) - 16
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    write_map(folder / "blob.mrc", np.exp(-(z**2 + 2 * (y - 2) ** 2 + (x + 3) ** 2) / 20), 5.0)
    return folder


@pytest.fixture(scope="module")
def used(installed: Path, folder: Path) -> dict[str, Any]:
    """Return the summaries of the commands by name, all run in one process, which takes ten seconds."""
    ran = python(folder, str(KIT / "use_toy_package.py"), "blob.mrc", beside=installed)
    assert ran.returncode == 0, ran.stderr
    summaries: dict[str, Any] = json.loads(ran.stdout)
    return summaries


def test_every_component_is_listed(used: dict[str, Any]) -> None:
    for kind, name, line in (
        ("operators", "stripes", "Every ``every``-th row of pixels is kept"),
        ("solvers", "shrink", "x = factor A+ y; no prior. [factor=0.5]"),
        ("metrics", "mae", "Mean absolute error ↓: Return the mean of |x - original| over pixels"),
        ("formats", ".toy", "Return the particles of a listing"),
        ("commands", "toy-count", "Count the particles of a file."),
    ):
        assert used["list"][kind][name].startswith(line)


def test_the_command_stands_in_the_help_with_its_options(installed: Path, tmp_path: Path) -> None:
    shown = python(tmp_path, "-m", "cryoprior", "--help", beside=installed).stdout
    assert "toy-count Count the particles of a file." in " ".join(shown.split())
    shown = python(tmp_path, "-m", "cryoprior", "toy-count", "--help", beside=installed).stdout
    assert "--dozen" in shown
    assert "Count in dozens." in shown


def test_the_operator_works_in_files(used: dict[str, Any], folder: Path) -> None:
    assert (used["measure"]["n"], used["measure"]["compression"], used["measure"]["stored"]) == (12, 2, 128)
    assert (used["describe"]["operator"], used["describe"]["digest"]) == (TEXT, used["measure"]["digest"])
    assert used["text"]["compression"] == 4
    assert used["validate"]["valid"]
    assert used["map"]["operator"].startswith("stripes:")
    assert (folder / "map" / "map.mrc").is_file()


def test_the_format_the_solver_and_the_metric_are_used(used: dict[str, Any], folder: Path) -> None:
    assert used["count"] == {"n": 12}
    assert used["reconstruct"]["solver"] == "shrink:factor=0.8"
    assert used["reconstruct"]["residual"] == pytest.approx(0.2, rel=1e-5)
    assert 0 < used["evaluate"]["floors"]["least_squares"]["mae"] < used["evaluate"]["metrics"]["mae"]["mean"]
    assert "Mean absolute error ↓" in (folder / "report" / "report.html").read_text()


def test_a_benchmark_uses_them(used: dict[str, Any], folder: Path) -> None:
    images = pd.read_csv(folder / "bench-images" / "rows.csv")
    shrunken = images[images["method"] == "shrunken"].iloc[0]
    assert (shrunken["solver"], shrunken["operator"]) == ("shrink:factor=0.8", "stripes:every=2,sets=2")
    assert shrunken["residual"] == pytest.approx(0.2, rel=1e-4)
    assert 0 < shrunken["mae"] < images.loc[images["method"] == "constant", "mae"].item()
    assert "Mean absolute error" in (folder / "bench-images" / "report.html").read_text()
    maps = pd.read_csv(folder / "bench-maps" / "rows.csv")
    assert "shrunken" in set(maps["method"])


@pytest.mark.usefixtures("used")
def test_measurements_without_their_package_are_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit, match="2"):
        cli.main(["map", "s.zarr", "-o", "without"])
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "s.zarr: measured with the operator 'stripes', which is not installed; expected one of pixel" in shown
