"""Training of cryoDRGN: its numberings of epochs, what is resumed, what each version is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.external.cryodrgn import CryodrgnInput, write_input
from cryoprior.external.cryodrgn_training import (
    CRYODRGN_PRESETS,
    CryodrgnTraining,
    finished_epoch,
    last_epoch,
    train,
    trained_version,
)
from cryoprior.io import read_particles
from cryoprior.io.pickles import read_pickle
from kit.cryodrgn_particles import N, write_set

TRAINING = CryodrgnTraining(
    latent=2, layers=1, width=8, epochs=3, batch=2, learning_rate=1e-3, mixed_precision=False, seed=4
)
VERSIONS = ("3.4.0", "4.3.1")


@pytest.fixture
def executable(cryodrgn_stand_in: Path) -> Path:
    return cryodrgn_stand_in


@pytest.fixture
def given(tmp_path: Path) -> CryodrgnInput:
    return write_input(read_particles(write_set(tmp_path / "set.star")), tmp_path / "work")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_last_epoch_is_found_in_either_numbering(
    version: str, executable: Path, given: CryodrgnInput, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_VERSION", version)
    latents = train(given, tmp_path / "train", TRAINING, executable=executable, threads=1)
    assert latents.name == {"3.4.0": "z.2.pkl", "4.3.1": "z.3.pkl"}[version]
    assert read_pickle(latents).shape == (N, TRAINING.latent)
    assert trained_version(tmp_path / "train") == version
    assert last_epoch(version, 100) == {"3.4.0": 99, "4.3.1": 100}[version]
    log = (tmp_path / "train.log").read_text()
    assert ("--no-analysis" in log) == ("--shuffle-seed 4" in log) == (version == "4.3.1")
    assert "--uninvert-data" not in log
    assert train(given, tmp_path / "train", TRAINING, executable=executable) == latents
    assert (tmp_path / "train.log").read_text() == log  # finished: it was not run again


@pytest.mark.parametrize("version", VERSIONS)
def test_a_training_goes_on_behind_its_last_whole_epoch(
    version: str, executable: Path, given: CryodrgnInput, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = 1 if version == "4.3.1" else 0
    monkeypatch.setenv("STAND_IN_VERSION", version)
    monkeypatch.setenv("STAND_IN_STOP", str(first + 1))
    with pytest.raises(InputError, match=r"(?s)failed \(9\); its log is .*the queue took the machine away"):
        train(given, tmp_path / "train", TRAINING, executable=executable)
    assert (tmp_path / "train" / f"weights.{first + 1}.pkl").exists()  # though its latents are cut short
    assert finished_epoch(tmp_path / "train") == first
    monkeypatch.delenv("STAND_IN_STOP")
    latents = train(given, tmp_path / "train", TRAINING, executable=executable)
    assert latents.name == f"z.{first + 2}.pkl"
    assert f"--load {tmp_path / 'train' / f'weights.{first}.pkl'}" in (tmp_path / "train.log").read_text()
    longer = train(given, tmp_path / "train", replace(TRAINING, epochs=5), executable=executable)
    assert longer.name == f"z.{first + 4}.pkl"


def test_a_folder_that_tells_no_version_is_refused(executable: Path, given: CryodrgnInput, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "config.yaml").write_text("seed: 0\n")
    with pytest.raises(InputError, match=r"config.yaml: no line 'version: 4.3.1' or the like; .* delete .*train"):
        train(given, tmp_path / "train", TRAINING, executable=executable)


def test_what_the_presets_ask_for(executable: Path, given: CryodrgnInput, tmp_path: Path) -> None:
    short = replace(CRYODRGN_PRESETS["paper"], epochs=1)
    train(given, tmp_path / "train", short, uninvert=True, executable=executable)
    log = (tmp_path / "train.log").read_text()
    words = "--zdim 8 --num-epochs 1 --batch-size 32 --lr 0.0001 --enc-layers 3 --enc-dim 1024 --dec-layers 3 "
    assert words + "--dec-dim 1024 --seed 0" in log
    assert "--uninvert-data" in log
    assert "--no-amp" not in log
    assert CRYODRGN_PRESETS["paper"].epochs == 100
    assert CRYODRGN_PRESETS["paper"].box is None
    assert 32 <= (CRYODRGN_PRESETS["small"].box or 0) <= 48


def test_another_program_is_refused(given: CryodrgnInput, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\necho zsh 5.9\n")
    other.chmod(0o755)
    with pytest.raises(InputError, match=r"other: `train_vae --help` says 'zsh 5.9'; expected cryoDRGN's options"):
        train(given, tmp_path / "train", TRAINING, executable=other)
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\necho --zdim\n")
    silent.chmod(0o755)
    with pytest.raises(InputError, match=r"it ended without the latents of epoch 3 in .*; its log is"):
        train(given, tmp_path / "train", TRAINING, executable=silent)
    with pytest.raises(InputError, match=r"no .*absent on the PATH"):
        train(given, tmp_path / "train", TRAINING, executable=tmp_path / "absent")


@pytest.mark.external
def test_cryodrgn_itself_trains_and_resumes(tmp_path: Path) -> None:
    given = write_input(read_particles(write_set(tmp_path / "set.star", 16, n=24)), tmp_path / "work")
    training = replace(TRAINING, epochs=1, batch=8)
    first = train(given, tmp_path / "train", training, threads=1)
    assert trained_version(tmp_path / "train")
    last = train(given, tmp_path / "train", replace(training, epochs=2), threads=1)
    assert last != first
    assert read_pickle(last).shape == (24, 2)
    assert np.isfinite(read_pickle(last)).all()
