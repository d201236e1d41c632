"""A training run on disk, so that an interrupted one can go on: one file, which takes its name at once.

It holds the weights, their average and the optimiser's moments, and as metadata the step, all other counts, the curve
so far, and a digest of all of it. Nothing else decides how a run goes on: every random stream is that of a step.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from cryoprior.errors import DEVICE_FAILURES, InputError
from cryoprior.output.stored_json import parse_json
from cryoprior.prior.stored_weights import check_finite
from cryoprior.prior.tensor_file import write_tensors
from cryoprior.training.loop import Progress

STATE = "checkpoint.safetensors"
RECORD, DIGEST = "record", "digest"
EXPECTED = "the state of a training run"
REMEDY = "train again without <resume>, into another <output>"


@runtime_checkable
class Resumable(Protocol):
    """A training whose whole state is tensors and counts: of images, or of maps."""

    steps: int

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that a run goes on from: tensors by name, and the counts that go with them."""
        ...

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of these tensors after the first step, by name."""
        ...

    def restore(self, tensors: Mapping[str, Tensor], counts: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        ...


def save_checkpoint(folder: Path, training: Resumable, curve: Sequence[Progress]) -> None:
    """Write the whole state of a run, and its curve so far, into the folder."""
    tensors, counts = training.state()
    record = json.dumps({**counts, "curve": [dataclasses.asdict(line) for line in curve]})
    write_tensors(folder / STATE, tensors, {RECORD: record, DIGEST: _digest(tensors, record)})


def has_checkpoint(folder: Path) -> bool:
    """Return whether a run in the folder can go on."""
    return (folder / STATE).is_file()


def load_checkpoint(folder: Path, training: Resumable) -> list[Progress]:
    """Return the curve so far of the run in the folder; the training takes on its state.

    Raises
    ------
    InputError: a file that is damaged, of an older layout or of another network, or numbers that are not finite; the
        training is then as it was.
    """
    path = folder / STATE
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        if RECORD not in metadata:
            raise InputError(f"{path}: of an older version, without its step in it; {REMEDY}")
        record = parse_json(path, metadata[RECORD].encode(), EXPECTED, REMEDY)
        _check_names(path, found, training)
        tensors = load_file(str(path))
    except (SafetensorError, OSError) as error:
        if isinstance(error, OSError) and error.errno in DEVICE_FAILURES:  # the file may be whole
            raise
        raise InputError(f"{path}: damaged ({error}); expected {EXPECTED}; {REMEDY}") from None
    # files of before there were digests have none; a later one that lost it cannot be told from them
    if DIGEST in metadata and metadata[DIGEST] != _digest(tensors, metadata[RECORD]):
        raise InputError(f"{path}: damaged: its digest is not that of what it holds; {REMEDY}")
    check_finite(path, tensors, REMEDY)
    curve = _checked_record(path, record, training.steps)
    training.restore(tensors, record)
    return curve


def _digest(tensors: Mapping[str, Tensor], record: str) -> str:
    """Return the sha256 of the record and of all tensors, by name."""
    total = hashlib.sha256(record.encode())
    for name in sorted(tensors):
        value = tensors[name].contiguous()
        total.update(f"|{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _check_names(path: Path, found: Mapping[str, tuple[int, ...]], training: Resumable) -> None:
    """Raise InputError unless the tensors are those of this network, before memory is taken for them."""
    wanted = training.shapes()
    for name in sorted({*found, *wanted}):
        if found.get(name) != wanted.get(name):
            raise InputError(
                f"{path}: {name} of {found.get(name, 'no')} numbers; this network has {wanted.get(name, 'none')}; "
                f"expected {EXPECTED}; {REMEDY}"
            )


def _checked_record(path: Path, record: Mapping[str, Any], steps: int) -> list[Progress]:
    """Return the curve of a record; InputError where its counts cannot be those of this run."""
    step, curve = record.get("step"), record.get("curve")
    counts = [record.get(name) for name in ("images", "ema_step")]
    if type(step) is not int or not 0 < step <= steps or not all(type(count) is int for count in counts):
        raise InputError(f"{path}: step {step} of a run of {steps}; expected {EXPECTED}; {REMEDY}")
    try:
        lines = [Progress(**line) for line in curve or []]
        reached = max((line.step for line in lines), default=0)
    except TypeError as error:
        raise InputError(f"{path}: no learning curve ({error}); expected {EXPECTED}; {REMEDY}") from None
    if reached > step:
        raise InputError(f"{path}: a curve up to step {reached} at step {step}; expected {EXPECTED}; {REMEDY}")
    return lines
