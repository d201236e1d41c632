"""train on random operators and on measurements alone: the priors that come of it, and what it refuses."""

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
import torch

from cryoprior.errors import InputError
from cryoprior.io import read_particles, write_stack, write_star
from cryoprior.measurement import command as measure
from cryoprior.prior import load_prior
from cryoprior.prior.evidence import evidence_of_image
from cryoprior.reconstruction import command as reconstruct
from cryoprior.training import command as train
from cryoprior.training.loop import Training

N, BOX = 40, 16
TINY: dict[str, Any] = {"width": 0.25, "steps": 4, "batch": 4, "every": 2, "cpu": True}
OPERATORS = {
    "fourier": "fourier:pattern=uniform,compression=2,sets=8",
    "pixel": "pixel:block=4,masks=12,rows=hadamard,sets=4",
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryoprior.training.pictures.draw_pictures", lambda *_: None)
    monkeypatch.setattr("cryoprior.measurement.appearance.ROUNDS_FROM_NOTHING", 2)


def write_particles(folder: Path) -> Path:
    """Write noisy discs: particles.star."""
    rng = np.random.default_rng(0)
    axis = np.arange(BOX) - BOX // 2
    disc = np.hypot(*np.meshgrid(axis, axis)) < rng.uniform(2, 5, size=(N, 1, 1))
    write_stack(folder / "p.mrcs", (10 + 3 * (disc + 0.5 * rng.normal(size=disc.shape))).astype(np.float32), 4.0)
    table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@p.mrcs" for i in range(N)], "rlnOpticsGroup": 1})
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [4.0], "rlnImageSize": [BOX]})
    write_star(folder / "particles.star", table, optics)
    return folder / "particles.star"


def measured(folder: Path, operator: str, name: str = "y.zarr", **more: Any) -> Path:
    path = folder / name
    measure.run(measure.Options(particles=folder / "particles.star", output=path, operator=operator, **more))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("operators")
    write_particles(made)
    for name, operator in OPERATORS.items():
        measured(made, operator, f"{name}.zarr", sigma=0.5 if name == "pixel" else 0.0)
    return made


def run(source: Path, name: str, **more: Any) -> Path:
    train.run(train.Options(**{"particles": (source,), "output": source.parent / name} | TINY | more))
    return source.parent / name


@pytest.mark.parametrize("name", OPERATORS)
def test_measurements_alone_make_a_prior_that_gives_means(folder: Path, tmp_path: Path, name: str) -> None:
    prior = run(folder / f"{name}.zarr", f"prior-{name}")
    config = load_prior(prior).config
    assert config.means_only
    assert config.family is not None
    assert not any(config.spectra[BOX].noise)
    assert (prior / f"means-{BOX}.png").stat().st_size > 1000
    assert (config.family.blocks, config.family.patterns) == (((4,), ()) if name == "pixel" else ((), ("uniform",)))
    summary = reconstruct.run(
        reconstruct.Options(measurements=folder / f"{name}.zarr", output=tmp_path / "r", prior=str(prior))
    )
    assert summary["solver"].startswith("posterior")
    assert summary["trained_operator"] is True
    assert summary["trained_on_overlap"] == summary["n"] - 2
    x = read_particles(tmp_path / "r" / "particles.star").read(slice(None))
    original = read_particles(folder / "particles.star").read(slice(None))
    assert np.corrcoef(x.ravel(), original.ravel())[0, 1] > 0.6
    for refused in ({"estimate": "sample"}, {"solver": "exact"}, {"deviation": True}):
        given = {"measurements": folder / f"{name}.zarr", "output": tmp_path / "no", "prior": str(prior)}
        with pytest.raises(InputError, match="it gives posterior means and nothing else"):
            reconstruct.run(reconstruct.Options(**given, **refused, overwrite=True))  # type: ignore[arg-type]


def test_an_interrupted_training_on_measurements_goes_on_to_the_same_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, source, validate = run(folder / "fourier.zarr", "whole"), folder / "fourier.zarr", Training.validate
    with monkeypatch.context() as patched:

        def stopped(self: Training, train_loss: float) -> Any:
            if self.step == 4:
                raise KeyboardInterrupt
            return validate(self, train_loss)

        patched.setattr(Training, "validate", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(source, "parts")
    parts = run(source, "parts", resume=True)
    one, two = (load_prior(prior).denoiser.network.state_dict() for prior in (whole, parts))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_masks_that_all_particles_share_teach_nothing_of_what_they_hide(folder: Path) -> None:
    shared = measured(folder, "pixel:block=4,masks=8", "shared.zarr")
    with pytest.raises(InputError, match=r"shared\.zarr: 1 mask set leaves \d+% of an image unseen .*sets=64"):
        run(shared, "impossible")
    assert not (folder / "impossible").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"clean": (Path("c.star"),)}, "clean with .*measurements hold no images"),
        ({"box": 32}, "box with .*measurements hold no images"),
        ({"operator_aware": True}, "operator_aware with .*measurements hold no images"),
        ({"preset": "paper-128", "width": 1.0, "precision": "no"}, "preset paper-128; use preset=small"),
    ],
)
def test_what_measurements_cannot_have_is_refused(folder: Path, more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(folder / "fourier.zarr", "refused", **more)
    assert not (folder / "refused").exists()


def test_two_files_of_measurements_are_refused(folder: Path) -> None:
    both = (folder / "fourier.zarr", folder / "pixel.zarr")
    with pytest.raises(InputError, match=r"expected one \.zarr alone"):
        run(folder / "fourier.zarr", "two", particles=both)


def test_an_operator_aware_prior_goes_on_from_a_plain_one(folder: Path) -> None:
    plain = run(folder / "particles.star", "plain")
    aware = run(folder / "particles.star", "aware", init=str(plain), operator_aware=True, seed=3, learning_rate=1e-12)
    loaded, before = load_prior(aware), load_prior(plain)
    assert loaded.operator_aware
    assert not before.operator_aware
    x, power = torch.randn(2, BOX, BOX), torch.ones(BOX, BOX // 2 + 1)
    evidence = evidence_of_image(x, power, power.expand(2, -1, -1))
    torch.testing.assert_close(loaded.estimate(evidence), before.estimate(evidence), rtol=1e-4, atol=1e-4)
    (rows,), (old,) = loaded.config.trained_on.values(), before.config.trained_on.values()
    assert set(old) < set(rows)  # another seed holds others out: those of both runs have been seen
    correlation = json.loads((aware / "summary.json").read_text())["correlation"]
    assert f"{BOX}px measured" in correlation
    with pytest.raises(InputError, match="add operator_aware to go on from it"):
        run(folder / "particles.star", "back", init=str(aware))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"leave_out": ("block=8",)}, "leave_out without operator_aware"),
        ({"operator_aware": True, "preset": "paper-128"}, "a DDPM knows no operators"),
        (
            {"operator_aware": True, "leave_out": ("block=7",)},
            "'block=7': no kind of operator; expected one of block=2",
        ),
    ],
)
def test_bad_families_are_named(folder: Path, more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(folder / "particles.star", "family", **more)
    assert not (folder / "family").exists()


def test_what_was_left_out_is_not_known(folder: Path) -> None:
    prior = run(folder / "particles.star", "left", operator_aware=True, leave_out=("block=4", "pattern=ring"))
    family = load_prior(prior).config.family
    assert family is not None
    assert 4 not in family.blocks
    assert family.patterns == ("uniform", "spoke")


@pytest.mark.slow
@pytest.mark.parametrize("source", ["particles.star", "pixel.zarr"])
def test_two_processes_train_one_prior(folder: Path, source: str) -> None:
    output = folder / f"two-{source}"
    words = ["train", str(folder / source), "-o", str(output), "--steps", "2", "--batch", "4", "--width", "0.25"]
    words += ["--cpu", "--every", "2", *(["--operator-aware"] if source.endswith("star") else [])]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "cryoprior.cli"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(
        [sys.executable, *launcher, *words], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((output / "summary.json").read_text())["images"] == 2 * 2 * 4
    assert load_prior(output).operator_aware
