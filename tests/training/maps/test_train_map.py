"""``train-map``: it goes on as if it had never stopped, learns from half maps, and says what it cannot use."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cryoprior
from cryoprior.errors import InputError
from cryoprior.interruption import Interrupted, interruptible
from cryoprior.io.mrc_writing import write_map
from cryoprior.io.resize import resample_volume
from cryoprior.prior.volume.checkpoint import load_map_prior
from cryoprior.training.maps.command import Options, run
from cryoprior.training.maps.half_maps import HalfMapPatches
from cryoprior.training.maps.loop import MapTraining

BOX = 32


def blobs(seed: int, box: int = BOX) -> np.ndarray:
    """Return a map of smooth blobs, denser inside."""
    generator = np.random.default_rng(seed)
    axis = np.arange(box) - box // 2
    volume = np.zeros((box,) * 3, np.float32)
    for place in generator.uniform(-box / 5, box / 5, (25, 3)):
        squares = sum((np.meshgrid(axis, axis, axis, indexing="ij")[i] - place[i]) ** 2 for i in range(3))
        volume += np.exp(-squares / 3).astype(np.float32)
    return volume


@pytest.fixture
def maps(tmp_path: Path) -> tuple[Path, ...]:
    """Return the files of three maps."""
    paths = tuple(tmp_path / f"blobs-{i}.mrc" for i in range(3))
    for i, path in enumerate(paths):
        write_map(path, blobs(i), 3.0)
    return paths


def train(maps: tuple[Path, ...], name: str, **more: Any) -> Path:
    """Return the folder of a small prior that was trained on maps."""
    given = {
        "steps": 4, "every": 2, "batch": 2, "patch": 16, "channels": "4,4,4", "versions": 2, "coarsest": 4.0,
        "device": "cpu", "threads": 1,
    }  # fmt: skip
    output = maps[0].parent / name
    run(Options(output=output, models=maps, **(given | more)))
    return output


def assert_same(first: Path, second: Path) -> None:
    """Check that two priors have the same weights and the same curve but for its seconds."""
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    curves = [[line.split(",")[0::3] for line in (f / "curve.csv").read_text().splitlines()] for f in (first, second)]
    assert curves[0] == curves[1]


def test_a_run_that_is_told_to_stop_goes_on_as_if_it_had_not(
    maps: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(maps, "whole")
    step = MapTraining._optimiser_step

    def told(self: MapTraining) -> float:
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self)

    with monkeypatch.context() as patched, pytest.raises(Interrupted) as stopped, interruptible():
        patched.setattr(MapTraining, "_optimiser_step", told)
        train(maps, "parts")
    parts = maps[0].parent / "parts"
    assert (stopped.value.output, stopped.value.left) == (parts, "begun")
    with pytest.raises(InputError, match="in use; pass another"):
        train(maps, "parts")
    train(maps, "parts", resume=True)
    assert_same(whole, parts)
    with pytest.raises(InputError, match="no such map prior"):
        load_map_prior(maps[0].parent / "other")


def test_another_run_is_not_gone_on_with(maps: tuple[Path, ...]) -> None:
    train(maps, "prior")
    with pytest.raises(InputError, match="a run with other choices"):
        train(maps, "prior", resume=True, learning_rate=0.5)


def test_what_was_trained_is_written_down(maps: tuple[Path, ...]) -> None:
    folder = train(maps, "prior", half=True, description="blobs")
    prior, summary = load_map_prior(folder), json.loads((folder / "summary.json").read_text())
    assert prior.config.description == "blobs"
    assert len(prior.config.trained_on) == 2
    (held_out,) = summary["held_out"]
    assert held_out not in prior.config.trained_on
    assert summary["steps"] == prior.config.steps == 4
    assert {p.name for p in folder.iterdir()} >= {"curve.csv", "provenance.json", "checkpoint.safetensors"}
    mean = prior.mean(torch.from_numpy(blobs(5)), 3.0, torch.full((17,), 2.0))
    assert bool(torch.isfinite(mean).all())


def test_the_verb_trains_what_the_command_trains(maps: tuple[Path, ...]) -> None:
    folder = train(maps, "prior")
    given = {"steps": 4, "every": 2, "batch": 2, "patch": 16, "channels": (4, 4, 4), "versions": 2, "coarsest": 4.0}
    prior = cryoprior.train_map(maps, **given, device="cpu")
    read = load_map_prior(folder)
    assert prior.config == read.config
    for name, value in read.network.state_dict().items():
        torch.testing.assert_close(prior.network.state_dict()[name], value, rtol=0, atol=0)
    written = cryoprior.train_map(maps, **given, device="cpu", output=maps[0].parent / "written")
    assert written.config == read.config
    assert_same(folder, maps[0].parent / "written")
    with pytest.raises(InputError, match="resume without output: there is no folder to go on with"):
        cryoprior.train_map(maps, resume=True)
    with pytest.raises(InputError, match="models or half1 and half2: pass one of them"):
        cryoprior.train_map()
    with pytest.raises(InputError, match="finest 4 and coarsest 2: expected angstrom above 0, in this order"):
        cryoprior.train_map(maps, finest=4.0, coarsest=2.0)


def test_half_maps_teach_without_truth(tmp_path: Path) -> None:
    truth = blobs(0)
    generator = np.random.default_rng(1)
    halves = [tmp_path / f"half{i}.mrc" for i in (1, 2)]
    for path in halves:
        write_map(path, truth + 0.1 * generator.standard_normal(truth.shape).astype(np.float32), 3.0)
    options = Options(
        output=tmp_path / "prior", half1=(halves[0],), half2=(halves[1],), steps=30, every=30, batch=2, patch=16,
        channels="8,8,8", device="cpu", threads=1,
    )  # fmt: skip
    summary = run(options)
    assert summary["voxel_size_angstrom"] == [3.0, 3.0]
    assert summary["validation_loss"] < summary["wiener_loss"]
    prior = load_map_prior(tmp_path / "prior")
    assert prior.config.from_half_maps
    assert set(prior.config.trained_on) == {"half1.mrc", "half2.mrc"}


def test_of_a_pair_one_half_is_shown_and_the_other_asked_for(tmp_path: Path) -> None:
    """Were both the same, their noise would be: what is asked for would be known."""
    generator = np.random.default_rng(1)
    halves = [tmp_path / f"half{i}.mrc" for i in (1, 2)]
    for path in halves:
        write_map(path, blobs(0) + 2 * generator.standard_normal((BOX,) * 3).astype(np.float32), 3.0)
    batch = HalfMapPatches.read(halves[:1], halves[1:]).batch(4, 16, np.random.default_rng(0))
    shown, asked = batch.evidence.planes[:, 2].flatten(), batch.target.flatten()
    assert abs(float(torch.corrcoef(torch.stack((shown, asked)))[0, 1])) < 0.6


def test_what_cannot_be_trained_on_is_said(maps: tuple[Path, ...], tmp_path: Path) -> None:
    first, second = maps[:2]
    for given, text in (
        ({}, "models or half1 and half2: pass one"),
        ({"models": maps, "half1": (first,), "half2": (second,)}, "pass one of them"),
        ({"half1": (first, second), "half2": (first,)}, "expected pairs, in order"),
        ({"models": maps, "finest": 5.0, "coarsest": 3.0}, "is above coarsest"),
        ({"models": maps, "channels": "4,x"}, "expected three whole numbers"),
        ({"models": maps, "patch": 20}, "expected a multiple of 8"),
        ({"models": (first, first)}, "two files of one name"),
    ):
        with pytest.raises(InputError, match=text):
            run(Options(output=tmp_path / "refused", **given))
    small = tmp_path / "small.mrc"
    write_map(small, resample_volume(blobs(0), 3.0, 3.0, 24), 3.0)
    with pytest.raises(InputError, match="expected halves of one map"):
        run(Options(output=tmp_path / "refused", half1=(first,), half2=(small,)))
