"""A training run that is killed goes on to the same weights, wherever it was; damaged states are refused by name."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from cryoprior.errors import InputError
from cryoprior.io import write_stack, write_star
from cryoprior.training import command as train
from cryoprior.training import engine
from cryoprior.training.checkpoint import STATE, _digest
from cryoprior.training.loop import Training

TINY: dict[str, Any] = {"width": 0.25, "steps": 4, "batch": 2, "every": 1, "cpu": True}
KILLED = 9
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree", "open")
"""Audit events of what changes a folder; ``open`` where it is for writing."""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with particles, and the prior of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("checkpoint")
    images = np.random.default_rng(0).normal(10, 3, size=(12, 16, 16)).astype(np.float32)
    write_stack(folder / "p.mrcs", images, 4.0)
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [4.0], "rlnImageSize": [16]})
    names = [f"{i + 1}@p.mrcs" for i in range(12)]
    write_star(folder / "p.star", pd.DataFrame({"rlnImageName": names, "rlnOpticsGroup": 1}), optics)
    run(folder / "whole", folder)
    return folder


def run(output: Path, work: Path, **more: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cryoprior.training.pictures.draw_pictures", lambda *_: None)
        train.run(train.Options(particles=(work / "p.star",), output=output, **(TINY | more)))


def in_child(action: Callable[[], None]) -> int:
    """Return the exit code of a forked process that does this."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(place: int, folder: Path, counted: Path | None = None) -> None:
    """End this process, without a further step, before the file operation of this number below a folder."""
    done = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal done
        if event not in CHANGES or str(folder) not in str(arguments[0]):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        if done == place:
            os._exit(KILLED)
        done += 1
        if counted is not None:
            os.write(handle, b".")

    handle = os.open(counted, os.O_WRONLY | os.O_CREAT) if counted is not None else -1
    sys.addaudithook(watch)


@pytest.fixture(scope="module")
def operations(work: Path) -> int:
    """Return how many file operations a whole run takes."""
    folder = work / "counted"
    folder.mkdir()

    def whole() -> None:
        killed_at(-1, folder, work / "count")
        run(folder / "out", work)

    assert in_child(whole) == 0
    return (work / "count").stat().st_size


def check_goes_on(work: Path, folder: Path, place: int) -> None:
    folder.mkdir()
    out = folder / "out"

    def interrupted() -> None:
        killed_at(place, folder)
        run(out, work)

    assert in_child(interrupted) == KILLED
    begun = (out / STATE).is_file()
    run(out, work, resume=begun)
    first, second = (load_file(path / "model.safetensors") for path in (work / "whole", out))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert steps_and_losses(out) == steps_and_losses(work / "whole")
    left = {entry.name for entry in folder.iterdir()} - {"out"}
    assert not left


def steps_and_losses(folder: Path) -> list[tuple[str, str, str]]:
    with (folder / "curve.csv").open() as file:
        return [(line["step"], line["train_loss"], line["validation_loss"]) for line in csv.DictReader(file)]


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_killed_run_ends_with_the_same_weights(work: Path, operations: int, tmp_path: Path, share: float) -> None:
    check_goes_on(work, tmp_path / "run", int(share * operations))


@pytest.mark.slow
def test_a_run_killed_at_any_file_operation_ends_with_the_same_weights(
    work: Path, operations: int, tmp_path: Path
) -> None:
    assert operations > 40
    for place in range(1, operations):
        check_goes_on(work, tmp_path / str(place), place)


@pytest.fixture(scope="module")
def stopped(work: Path) -> Path:
    """Return the folder of a run that stopped after two of its four steps."""

    def stop(folder: Path, training: Any, curve: Any) -> None:
        save(folder, training, curve)
        if training.step == 2:
            raise KeyboardInterrupt

    save = engine.save_checkpoint
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(engine, "save_checkpoint", stop)
        run(work / "half", work)
    return work / "half"


@pytest.fixture
def half_way(stopped: Path, tmp_path: Path) -> Path:
    """Return a copy of that folder."""
    shutil.copytree(stopped, tmp_path / "half")
    return tmp_path / "half"


def changed(folder: Path, change: Callable[[dict[str, torch.Tensor], dict[str, Any]], object]) -> None:
    """Change tensors and record of a checkpoint, and give it the digest that goes with them."""
    path = folder / STATE
    with safe_open(str(path), framework="pt") as file:
        record = json.loads(file.metadata()["record"])
    tensors = load_file(str(path))
    change(tensors, record)
    text = json.dumps(record)
    save_file(tensors, str(path), {"record": text, "digest": _digest(tensors, text)})


def test_the_curve_is_that_of_the_step_gone_on_from(work: Path, half_way: Path) -> None:
    (half_way / "curve.csv").write_text("step\n9\n")
    run(half_way, work, resume=True)
    assert steps_and_losses(half_way) == steps_and_losses(work / "whole")


DAMAGE: dict[str, tuple[Callable[[dict[str, torch.Tensor], dict[str, Any]], object], str]] = {
    "weights NaN": (lambda t, _: t["network.unet.conv_in.weight"].view(-1)[0].fill_(np.nan), "not finite"),
    "average NaN": (lambda t, _: t["ema.3"].view(-1)[0].fill_(np.inf), r"ema\.3 holds values that are not finite"),
    "moments NaN": (lambda t, _: t["optimizer.0.exp_avg_sq"].view(-1)[0].fill_(np.nan), "exp_avg_sq.* not finite"),
    "a tensor less": (lambda t, _: t.pop("optimizer.2.exp_avg"), r"optimizer\.2\.exp_avg of no numbers"),
    "a tensor more": (lambda t, _: t.update(more=torch.zeros(3)), "more of"),
    "another shape": (lambda t, _: t.update({"ema.0": torch.zeros(3)}), r"ema\.0 of \(3,\) numbers"),
    "a later step": (lambda _, record: record.update(step=40), "step 40 of a run of 4"),
    "no step": (lambda _, record: record.pop("step"), "step None of a run of 4"),
    "a longer curve": (lambda _, record: record.update(step=1), "a curve up to step 2 at step 1"),
    "another curve": (lambda _, record: record.update(curve=[{"a": 1}]), "no learning curve"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_state_that_cannot_be_is_refused(work: Path, half_way: Path, name: str) -> None:
    change, text = DAMAGE[name]
    changed(half_way, change)
    with pytest.raises(InputError, match=rf"checkpoint\.safetensors: .*{text}"):
        run(half_way, work, resume=True)


def test_a_changed_bit_is_refused(work: Path, half_way: Path) -> None:
    content = bytearray((half_way / STATE).read_bytes())
    content[-1000] ^= 1
    (half_way / STATE).write_bytes(content)
    with pytest.raises(InputError, match="damaged: its digest is not that of what it holds"):
        run(half_way, work, resume=True)
    (half_way / STATE).write_bytes(content[:-1000])
    with pytest.raises(InputError, match=r"checkpoint\.safetensors: damaged"):
        run(half_way, work, resume=True)


def test_a_state_of_an_older_layout_is_refused_by_name(work: Path, half_way: Path) -> None:
    """The step once stood in a file beside it, which a kill could leave behind."""
    save_file(load_file(str(half_way / STATE)), str(half_way / STATE))
    with pytest.raises(InputError, match="of an older version, without its step in it; train again"):
        run(half_way, work, resume=True)


def test_weights_that_diverge_are_not_kept(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(self: Training) -> float:
        with torch.no_grad():
            next(self.bare_network.parameters()).fill_(np.nan)
        return 1.0

    monkeypatch.setattr(Training, "_optimiser_step", diverge)
    with pytest.raises(InputError, match="weights that are not finite at step 1; lower learning_rate"):
        run(tmp_path / "out", work)
    assert not (tmp_path / "out" / STATE).exists()
