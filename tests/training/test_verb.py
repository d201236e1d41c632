"""train in Python: equal to the command bit for bit, ready to reconstruct with, and nothing written unless asked."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import cryoprior
from cryoprior.errors import InputError
from cryoprior.io import read_measurements, read_particles, write_stack, write_star
from cryoprior.measurement import command as measure
from cryoprior.prior import PriorConfig, load_prior
from cryoprior.training import TrainedPrior, train
from cryoprior.training import command as train_command
from cryoprior.training.loop import Training

N, BOX, PIXEL_SIZE = 40, 16, 4.0
TINY: dict[str, Any] = {"width": 0.25, "steps": 4, "batch": 4, "every": 2}
MASKS = "fourier:pattern=uniform,compression=2,sets=8"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryoprior.training.pictures.draw_pictures", lambda *_: None)
    monkeypatch.setattr("cryoprior.measurement.appearance.ROUNDS_FROM_NOTHING", 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of particles and their clean images, and of measurements of them."""
    made, rng = tmp_path_factory.mktemp("verb"), np.random.default_rng(0)
    axis = np.arange(BOX) - BOX // 2
    clean = (np.hypot(*np.meshgrid(axis, axis)) < rng.uniform(2, 5, size=(N, 1, 1))).astype(np.float32)
    for name, images in (("particles", clean + 0.5 * rng.normal(size=clean.shape)), ("clean", clean)):
        write_stack(made / f"{name}.mrcs", (10 + 3 * images).astype(np.float32), PIXEL_SIZE)
        table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@{name}.mrcs" for i in range(N)], "rlnOpticsGroup": 1})
        optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [PIXEL_SIZE], "rlnImageSize": [BOX]})
        write_star(made / f"{name}.star", table, optics)
    measure.run(measure.Options(particles=made / "particles.star", output=made / "y.zarr", operator=MASKS, sigma=0.1))
    return made


@pytest.fixture(scope="module")
def images(folder: Path) -> dict[str, np.ndarray]:
    return {name: read_particles(folder / f"{name}.star").read(slice(None)) for name in ("particles", "clean")}


def command(source: Path, output: Path, **more: Any) -> Path:
    train_command.run(train_command.Options(particles=(source,), output=output, cpu=True, **(TINY | more)))
    return output


def facts(config: PriorConfig) -> Any:
    """Return what is known of a prior as JSON holds it, without digests of data sets."""
    return json.loads(json.dumps(dataclasses.asdict(dataclasses.replace(config, intensity={}, trained_on={}))))


def assert_equal_but_for_names(trained: TrainedPrior, written: Path, tmp_path: Path) -> None:
    """Check weights byte for byte, and curve, split, spectra and grey scale number for number."""
    trained.save(tmp_path / "saved")
    names, saved = ({path.name for path in folder.iterdir()} for folder in (written, tmp_path / "saved"))
    assert saved == {name for name in names if not name.startswith("checkpoint")}
    assert (tmp_path / "saved" / "model.safetensors").read_bytes() == (written / "model.safetensors").read_bytes()
    first, second = (
        pd.read_csv(place / "curve.csv").drop(columns="seconds") for place in (written, tmp_path / "saved")
    )
    pd.testing.assert_frame_equal(first, second)
    ours, theirs = trained.config, load_prior(written).config
    for name in ("intensity", "trained_on"):  # named by the digest of a file there, of an array here
        assert list(getattr(ours, name).values()) == list(getattr(theirs, name).values())
    assert facts(ours) == facts(theirs)
    (split,) = json.loads((written / "split.json").read_text())
    for name in ("train", "validation", "validation_fixed"):
        assert trained.split[0][name] == split[name]


def test_arrays_train_what_the_command_trains(folder: Path, images: dict[str, np.ndarray], tmp_path: Path) -> None:
    written = command(folder / "particles.star", tmp_path / "prior", clean=(folder / "clean.star",))
    noisy, clean = torch.from_numpy(images["particles"]), images["clean"]  # tensors and arrays alike
    trained = cryoprior.train(noisy, PIXEL_SIZE, clean, device="cpu", **TINY)
    assert_equal_but_for_names(trained, written, tmp_path)
    assert [step for step, *_ in trained.losses] == [2, 4]
    assert trained.validation_loss == json.loads((written / "summary.json").read_text())["validation_loss"]


def test_measured_numbers_train_what_the_command_trains(folder: Path, tmp_path: Path) -> None:
    written, given = command(folder / "y.zarr", tmp_path / "prior"), read_measurements(folder / "y.zarr")
    operator = cryoprior.parse_operator(MASKS, box=BOX)
    whole = train(given.y(slice(None)), PIXEL_SIZE, operator=operator, sigma=0.1, device="cpu", **TINY)
    assert_equal_but_for_names(whole, written, tmp_path)
    opened = train(given, operator=operator, device="cpu", **TINY)
    assert opened.config.trained_on == load_prior(written).config.trained_on
    assert facts(opened.config) == facts(load_prior(written).config)


def test_random_operators_are_the_commands(folder: Path, images: dict[str, np.ndarray], tmp_path: Path) -> None:
    more: dict[str, Any] = {"operator_aware": True, "leave_out": ("block=4",), "steps": 2, "seed": 3}
    written = command(folder / "particles.star", tmp_path / "prior", **more)
    trained = train(images["particles"], PIXEL_SIZE, device="cpu", **(TINY | more))
    assert_equal_but_for_names(trained, written, tmp_path)


def test_a_trained_prior_is_the_one_that_is_read_back(images: dict[str, np.ndarray], tmp_path: Path) -> None:
    trained = train(images["particles"], PIXEL_SIZE, device="cpu", **TINY)
    trained.save(tmp_path / "prior")
    read = load_prior(tmp_path / "prior")
    x, tau = torch.randn(2, BOX, BOX, generator=torch.Generator().manual_seed(0)), torch.tensor([0.3, 2.0])
    assert torch.equal(trained(x, tau), read(x, tau))
    operator = cryoprior.parse_operator(MASKS, box=BOX)
    y = cryoprior.measure(images["particles"], operator)
    one, other = (cryoprior.reconstruct(y, operator, prior, "exact:steps=2") for prior in (trained, read))
    assert torch.equal(one.images, other.images)
    again = train(images["particles"], PIXEL_SIZE, init=trained, device="cpu", learning_rate=0.0, **TINY)
    assert torch.equal(again(x, tau), trained(x, tau))
    with pytest.raises(InputError, match="prior: the output is in use"):
        trained.save(tmp_path / "prior")


def test_nothing_is_written_without_an_output(
    images: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state = torch.random.get_rng_state()
    trained = train(images["particles"], PIXEL_SIZE, device="cpu", **TINY)
    assert not list(tmp_path.iterdir())
    assert torch.equal(torch.random.get_rng_state(), state)  # nor the caller's random numbers changed
    assert repr(trained).startswith("TrainedPrior(signal, box 16, 4 steps, validation loss ")
    assert len(repr(trained)) < 100


def test_with_an_output_a_run_goes_on_where_it_was_cut_off(
    images: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"pixel_size": PIXEL_SIZE, "device": "cpu"} | TINY
    whole, step = train(images["particles"], **given), Training._optimiser_step

    def stopping(self: Training) -> float:
        if self.step == 3:
            raise KeyboardInterrupt
        return step(self)

    with monkeypatch.context() as patched:
        patched.setattr(Training, "_optimiser_step", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(images["particles"], output=tmp_path / "prior", **given)
    parts = train(images["particles"], output=tmp_path / "prior", resume=True, **given)
    ours, theirs = (prior.network.state_dict() for prior in (parts, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert [line.step for line in parts.curve] == [2, 4]
    train(images["particles"], init=whole, output=tmp_path / "further", **given | {"steps": 1})
    recorded = json.loads((tmp_path / "further" / "provenance.json").read_text())
    assert recorded["options"]["init"] == "trained prior"  # its folder, where it has one
    assert recorded["inputs"] == []
    assert load_prior(tmp_path / "prior").config == parts.config


def test_several_data_sets_and_boxes(images: dict[str, np.ndarray]) -> None:
    large = np.pad(images["particles"], ((0, 0), (8, 8), (8, 8)), mode="edge")
    trained = train([images["particles"], large], PIXEL_SIZE, device="cpu", **TINY | {"steps": 1})
    assert trained.boxes == (16, 32)
    cropped = train([images["particles"], large], PIXEL_SIZE, box=16, device="cpu", **TINY | {"steps": 1})
    assert cropped.config.pixel_size_angstrom == (4.0, 8.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pixel_size": None}, "images: an array does not say its pixel size; pass pixel_size"),
        ({"images": np.ones((4, 8), np.float32)}, "images: an array of 4 x 8; expected n x box x box"),
        ({"clean": [np.ones((N, BOX, BOX), np.float32)] * 2}, "clean: 2 for 1 stacks"),
        ({"clean": np.ones((N, BOX, 8), np.float32)}, "clean: an array of 40 x 16 x 8"),
        ({"preset": "large"}, "preset 'large': expected one of small, paper-128"),
        ({"leave_out": ("block=8",)}, "leave_out without operator_aware"),
        ({"resume": True}, "resume without output: there is no folder"),
    ],
)
def test_what_cannot_be_trained_is_refused(images: dict[str, np.ndarray], change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"images": images["particles"], "pixel_size": PIXEL_SIZE, "device": "cpu"} | TINY
    with pytest.raises(InputError, match=message):
        train(**given | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clean": np.ones((N, BOX, BOX), np.float32)}, "clean with y: measurements hold no images"),
        ({"box": 32}, "box with y: measurements hold no images"),
        ({"operator_aware": True}, "operator_aware with y: measurements hold no images"),
        ({"preset": "paper-128"}, "y: measurements with preset paper-128"),
        ({"particles": [1, 2]}, "y: 40 rows and 2 particles"),
        ({"images": np.ones((N, BOX, BOX), np.float32)}, "y: an array of 40 x 16 x 16; expected n x m"),
    ],
)
def test_what_measurements_cannot_have_is_refused(folder: Path, change: dict[str, Any], message: str) -> None:
    y, operator = read_measurements(folder / "y.zarr").y(slice(None)), cryoprior.parse_operator(MASKS, box=BOX)
    given: dict[str, Any] = {"images": y, "pixel_size": PIXEL_SIZE, "operator": operator, "device": "cpu"} | TINY
    with pytest.raises(InputError, match=message):
        train(**given | change)
