"""heterogeneity on particles: what cryoDRGN is given, what is trained again and what is not, in a stand-in's place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cryoprior.errors import InputError
from cryoprior.heterogeneity.command import Options, run
from cryoprior.heterogeneity.training import in_one_order
from cryoprior.io import read_particles, write_stack, write_star
from cryoprior.io.formats.columns import ANGLES, ORIGINS
from cryoprior.output.manifest import Manifest

N, BOX = 48, 32


def particles(path: Path, *, seed: int = 0, n: int = N, contrast: float = 1.0, ctf: bool = True) -> Path:
    """Write bright (or dark) discs in noise, with poses."""
    rng = np.random.default_rng(seed)
    axis = np.arange(BOX) - BOX // 2
    disc = contrast * (np.hypot(*np.meshgrid(axis, axis)) < 8)
    write_stack(path.with_suffix(".mrcs"), (0.3 * rng.normal(size=(n, BOX, BOX)) + disc).astype(np.float32), 5.0)
    table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@{path.stem}.mrcs" for i in range(n)], "rlnOpticsGroup": 1})
    table[[*ANGLES]] = np.random.default_rng(9).uniform(0, 180, (n, 3))
    table[[*ORIGINS]] = 0.0
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [5.0], "rlnImageSize": [BOX]})
    if ctf:
        table["rlnDefocusU"], table["rlnDefocusV"], table["rlnDefocusAngle"] = 15000.0, 15000.0, 0.0
        optics = optics.assign(rlnVoltage=300.0, rlnSphericalAberration=2.7, rlnAmplitudeContrast=0.1)
    write_star(path, table, optics)
    return path


@pytest.fixture
def options(tmp_path: Path, cryodrgn_stand_in: Path) -> dict[str, Any]:
    return {
        "original": particles(tmp_path / "a.star"),
        "reconstructed": particles(tmp_path / "b.star", seed=1),
        "output": tmp_path / "out",
        "train": "small",
        "train_box": 16,
        "epochs": 2,
        "cryodrgn": cryodrgn_stand_in,
        "embedding": "pca",
        "seeds": 1,
        "starts": 1,
        "clusters": 2,
    }


def log(folder: Path, name: str) -> str:
    return (folder / "training" / name / "train.log").read_text()


def test_both_stacks_are_trained_alike_and_then_compared(options: dict[str, Any], tmp_path: Path) -> None:
    summary = run(Options(**options, train_ceiling=True))
    assert summary["agreement"] == 1.0  # the stand-in's latents are those of its seed
    assert summary["ceiling"]["kind"] == "another training"
    assert summary["ceiling"]["agreement"] < 0.9
    work = tmp_path / "out" / "training"
    given = read_particles(work / "original" / "particles.mrcs")
    cropped = read_particles(options["original"]).resized(16)
    np.testing.assert_array_equal(given.read([0, N - 1]), cropped.read([0, N - 1]))
    logs = [log(tmp_path / "out", name) for name in ("original", "reconstructed", "other")]
    asked = [text.split("--zdim")[1].splitlines()[0] for text in logs]
    assert asked[0] == asked[1] != asked[2]
    assert "--seed 0" in asked[0]
    assert "--seed 1" in asked[2]
    assert not any("--uninvert-data" in text for text in logs)  # bright, with a CTF
    assert Path(summary["latents"]["original"]).name == "z.2.pkl"
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["agreement"] == 1.0
    assert (tmp_path / "out" / "report.html").is_file()
    assert not [path for path in (tmp_path / "out").rglob(".*") if path.name != ".cryoprior.json"]
    assert Manifest.read(tmp_path / "out").foreign(tmp_path / "out") is None  # type: ignore[union-attr]
    trained = {"preset": "small", "trained": ["original", "other", "reconstructed"], "cryodrgn": "4.3.1"}
    assert summary["training"] == trained


def test_a_run_cut_off_goes_on_and_another_training_is_refused(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_STOP", "2")
    with pytest.raises(InputError, match=r"(?s)failed \(9\).*the queue took the machine away"):
        run(Options(**options))
    assert not (tmp_path / "out" / "summary.json").exists()
    monkeypatch.delenv("STAND_IN_STOP")
    run(Options(**options))
    assert "weights.1.pkl" in log(tmp_path / "out", "original")
    before = [log(tmp_path / "out", name) for name in ("original", "reconstructed")]
    run(Options(**options | {"seeds": 2}))  # the comparison alone is new
    assert [log(tmp_path / "out", name) for name in ("original", "reconstructed")] == before
    with pytest.raises(
        InputError,
        match=r"original: the output is in use by a run with other training; pass another output, or",
    ):
        run(Options(**options | {"epochs": 3}))
    run(Options(**options | {"epochs": 3}, overwrite=True))
    assert "--num-epochs 3" in log(tmp_path / "out", "reconstructed")


@pytest.mark.parametrize(("contrast", "ctf", "left"), [(-1, True, True), (1, False, True), (-1, False, False)])
def test_the_sign_that_cryodrgn_shall_see(
    contrast: float, ctf: bool, left: bool, options: dict[str, Any], tmp_path: Path
) -> None:
    paths = {
        name: particles(tmp_path / f"{name}.star", contrast=contrast, ctf=ctf) for name in ("original", "reconstructed")
    }
    run(Options(**options | paths))
    assert ("--uninvert-data" in log(tmp_path / "out", "original")) is left


def test_latents_of_the_original_serve_again(options: dict[str, Any], tmp_path: Path) -> None:
    first = run(Options(**options))
    again = options | {"original": Path(first["latents"]["original"]), "output": tmp_path / "again"}
    assert run(Options(**again))["agreement"] == 1.0
    assert not (tmp_path / "again" / "training" / "original").exists()


def test_what_cannot_be_trained_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    short = particles(tmp_path / "short.star", n=N - 1)
    with pytest.raises(
        InputError, match=r"short.star: 47 particles; .*a.star has 48; expected the same particles; pass"
    ):
        run(Options(**options | {"reconstructed": short}))
    with pytest.raises(InputError, match=r"a.star: box 32; the training crops images to 48 pixels; pass train_box 32"):
        run(Options(**options | {"train_box": 48}))
    with pytest.raises(InputError, match=r"no .*absent on the PATH; pip install 'cryoprior\[heterogeneity\]'"):
        run(Options(**options | {"cryodrgn": tmp_path / "absent"}))
    assert not (tmp_path / "out").exists()
    (tmp_path / "labels.csv").write_text("colour\nred\n")
    with pytest.raises(InputError, match=r"labels.csv"):
        run(Options(**options | {"output": tmp_path / "labelled", "labels": tmp_path / "labels.csv"}))
    assert not (tmp_path / "labelled").exists()
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"used: the output is in use by something else"):
        run(Options(**options | {"output": tmp_path / "used"}))
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["thesis.tex"]


def test_all_stacks_have_one_order_whatever_that_of_their_files(tmp_path: Path) -> None:
    stacks = {name: read_particles(particles(tmp_path / f"{name}.star")) for name in ("a", "b")}
    order = np.random.default_rng(2).permutation(N)
    ordered = in_one_order({"a": stacks["a"], "b": stacks["b"].subset(order)})  # by pose: the names are others
    assert list(ordered) == ["a", "b"]
    np.testing.assert_array_equal(ordered["b"].index, np.arange(N))
    np.testing.assert_array_equal(ordered["b"].read(), ordered["a"].read())


def test_other_poses_are_told(options: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = options["reconstructed"].read_text()
    first = next(line for line in text.splitlines() if "000001@" in line)
    words = first.split()
    words[2] = "1.0"
    options["reconstructed"].write_text(text.replace(first, " ".join(words)))
    run(Options(**options))
    assert "other poses than" in caplog.text
