"""A training run on disk, so that one cut off can go on: its state as safetensors, its counts and its curve as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from cryoprior.errors import InputError
from cryoprior.training.loop import Progress, Training

TENSORS, RECORD = "checkpoint.safetensors", "checkpoint.json"


def save_checkpoint(folder: Path, training: Training, curve: Sequence[Progress], identity: Mapping[str, Any]) -> None:
    """Write the whole state of a run, and its curve so far, into the folder."""
    tensors, counts = training.state()
    partial = folder / ".checkpoint.partial"
    save_file(tensors, str(partial), {"step": str(training.step)})
    partial.replace(folder / TENSORS)
    record = {**counts, "curve": [dataclasses.asdict(line) for line in curve], **identity}
    partial.write_text(json.dumps(record) + "\n")
    partial.replace(folder / RECORD)


def load_checkpoint(folder: Path, training: Training, identity: Mapping[str, Any]) -> list[Progress]:
    """Return the curve so far of the run in the folder, whose state the training takes on.

    Raises
    ------
    InputError: there is no checkpoint, or it belongs to another run.
    """
    path = folder / RECORD
    if not path.is_file():
        raise InputError(f"{folder}: no {RECORD}; nothing to resume; drop <resume>")
    record = json.loads(path.read_text())
    for name, value in json.loads(json.dumps(identity)).items():
        if record[name] != value:
            raise InputError(
                f"{path}: a run with {name} {record[name]}; resumed with {value}; pass the options and the "
                "particles it began with"
            )
    training.restore(load_file(str(folder / TENSORS)), record)
    return [Progress(**line) for line in record["curve"]]
