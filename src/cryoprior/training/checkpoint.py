"""A training run on disk, so that an interrupted one can go on: state as safetensors, counts and curve."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file

from cryoprior.output.files import write_whole
from cryoprior.prior.tensor_file import write_tensors
from cryoprior.training.loop import Progress, Training

STATE, RECORD = "checkpoint.safetensors", "checkpoint.json"


def save_checkpoint(folder: Path, training: Training, curve: Sequence[Progress]) -> None:
    """Write the whole state of a run, and its curve so far, into the folder: one file, and its record to read."""
    tensors, counts = training.state()
    record = json.dumps({**counts, "curve": [dataclasses.asdict(line) for line in curve]})
    write_tensors(folder / STATE, tensors, {"record": record})
    write_whole(folder / RECORD, record + "\n")


def has_checkpoint(folder: Path) -> bool:
    """Return whether a run in the folder can go on."""
    return (folder / STATE).is_file()


def load_checkpoint(folder: Path, training: Training) -> list[Progress]:
    """Return the curve so far of the run in the folder; the training takes on its state."""
    path = str(folder / STATE)
    with safe_open(path, framework="pt") as file:
        record = json.loads(file.metadata()["record"])
    training.restore(load_file(path), record)
    return [Progress(**line) for line in record["curve"]]
