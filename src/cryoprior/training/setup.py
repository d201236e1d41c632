"""A training run before its first step: all that decides what it will learn, and how large it is."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from cryoprior.devices import choose_device
from cryoprior.errors import InputError
from cryoprior.prior.checkpoint import Prior, load_prior
from cryoprior.prior.config import PriorConfig
from cryoprior.training.groups import Group, TrainingSet, image_groups, make_objective, measured_group
from cryoprior.training.inputs import MeasuredData, TrainingData
from cryoprior.training.objectives import Objective
from cryoprior.training.presets import Preset, training_preset
from cryoprior.training.start import check_boxes, first_network, prior_config

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True, kw_only=True)
class TrainingChoices:
    """What a caller chooses for a training run; :func:`cryoprior.training.engine.train` explains the fields."""

    preset: str = "small"
    steps: int | None = None
    epochs: int | None = None
    seed: int = 0
    operator_aware: bool = False
    leave_out: Sequence[str] = ()
    init: str | Path | Prior | None = None
    box: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    width: float = 1.0
    precision: str | None = None
    validation: float = 0.05
    description: str = ""
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.operator_aware and self.chosen.objective != "signal":
            raise InputError(
                f"<operator_aware> with <preset> {self.preset}: a DDPM knows no operators; use <preset=small>"
            )
        if self.leave_out and not self.operator_aware:
            raise InputError("<leave_out> without <operator_aware>: there are no operators to leave out; add it")

    @property
    def chosen(self) -> Preset:
        """Return the preset, with the chosen fields in place of its own."""
        changes = {"batch": self.batch, "learning_rate": self.learning_rate, "precision": self.precision}
        return training_preset(self.preset, self.width, **changes)

    def record(self) -> dict[str, Any]:
        """Return the choices as they are kept beside a prior; another prior is named by its folder."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return fields | ({"init": str(self.init.path)} if isinstance(self.init, Prior) else {})


@dataclass(frozen=True)
class TrainingSetup:
    """A training run before its first step.

    data: what was given. config: the prior's, before the first step. objectives: one for each group. steps: of the
    optimiser. start: the digest of the weights that the run goes on from, if any; begun_from: the prior that has them.
    """

    data: TrainingData | MeasuredData
    preset: Preset
    groups: Sequence[Group]
    config: PriorConfig
    network: nn.Module
    objectives: Sequence[Objective]
    steps: int
    seed: int
    accelerator: Accelerator
    start: str | None = None
    begun_from: Prior | None = None

    @property
    def stacks(self) -> list[TrainingSet]:
        """Return the data sets of all groups."""
        return [stack for group in self.groups for stack in group.stacks]

    @property
    def parameters(self) -> int:
        """Return the number of weights."""
        return sum(p.numel() for p in self.network.parameters())

    @property
    def sizes(self) -> dict[str, Any]:
        """Return the numbers of weights, of particles to train on and held out, and the boxes."""
        return {
            "parameters": self.parameters,
            "boxes": [group.box for group in self.groups],
            "train": sum(len(stack.train_rows) for stack in self.stacks),
            "validation": sum(len(stack.validation_rows) for stack in self.stacks),
        }

    def identity(self) -> dict[str, Any]:
        """Return what makes another run the same as this one."""
        return dataclasses.asdict(self.preset) | {
            "batch": self.preset.batch * self.accelerator.num_processes,
            "seed": self.seed,
            "steps": self.steps,
            "boxes": [group.box for group in self.groups],
            "particles": [stack.digest for stack in self.stacks],
            "clean": [stack.has_clean for stack in self.stacks],
            "held_out": [len(stack.validation_rows) for stack in self.stacks],
            "measured_by": [stack.measured_by for stack in self.stacks],
            "operators": [getattr(objective, "family", None) for objective in self.objectives],
            "init": self.start,
        }


def prepare(data: TrainingData | MeasuredData, choices: TrainingChoices) -> TrainingSetup:
    """Return a run with its particles split, and its configuration, network and objectives built.

    Raises
    ------
    InputError: choices that the data cannot have, too few particles, boxes that the network does not take, a prior to
        go on from that does not fit, unknown kinds of operator.
    """
    preset, seed = choices.chosen, choices.seed
    accelerator = _accelerator(preset.precision, choices.device)
    groups = _groups(data, choices)
    start = choices.init if choices.init is None or isinstance(choices.init, Prior) else load_prior(choices.init)
    config = prior_config(preset, groups, start, choices.operator_aware, choices.leave_out, choices.description)
    config = dataclasses.replace(config, treatment=data.treatment)
    check_boxes(config, groups, preset)
    network = first_network(config, start, seed)
    steps = _steps(preset, choices.steps, choices.epochs, groups, accelerator.num_processes)
    objectives = [make_objective(config, group, seed) for group in groups]
    digest = None if start is None else _digest(network)
    return TrainingSetup(data, preset, groups, config, network, objectives, steps, seed, accelerator, digest, start)


def _digest(network: nn.Module) -> str:
    """Return the sha256 of a network's weights."""
    total = hashlib.sha256()
    for value in network.state_dict().values():
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def _groups(data: TrainingData | MeasuredData, choices: TrainingChoices) -> Sequence[Group]:
    if isinstance(data, TrainingData):
        box = choices.box or choices.chosen.box
        return image_groups(data.images, data.clean, box, choices.validation, choices.seed)
    name = data.measurements.path
    for option, value in (("box", choices.box), ("operator_aware", choices.operator_aware)):
        if value:
            raise InputError(f"<{option}> with {name}: measurements hold no images; leave it out")
    if choices.chosen.objective != "signal":
        raise InputError(f"{name}: measurements with <preset> {choices.preset}; use <preset=small>")
    return [measured_group(data.measurements, data.operator, choices.validation, choices.seed)]


def _accelerator(precision: str, device: str) -> Accelerator:
    """Return what places a run on its devices and processes.

    Accelerate keeps the choices of the first run of a process for all later ones, so they are forgotten before each.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=os.environ.get("WORLD_SIZE", "1") == "1")
    return Accelerator(mixed_precision=precision, cpu=choose_device(device).type == "cpu")


def planned(setup: TrainingSetup) -> dict[str, Any]:
    """Return sizes, batches, steps and processes of a run before its first step.

    ``batch`` is the number of images that one process takes at a time, of the smallest box where there are several.
    ``effective_batch`` is the number of images of one optimiser step, over all processes and accumulated parts.
    """
    preset, accelerator, sizes = setup.preset, setup.accelerator, setup.sizes
    effective = preset.batch * preset.accumulation * accelerator.num_processes
    return {
        "dry_run": True,
        **sizes,
        "batch": preset.batch,
        "processes": accelerator.num_processes,
        "accumulation": preset.accumulation,
        "effective_batch": effective,
        "steps_per_epoch": round(sizes["train"] / effective, 2),
        "epochs": round(setup.steps * effective / sizes["train"], 2),
        "steps": setup.steps,
        "learning_rate": preset.learning_rate,
        "precision": preset.precision,
        "device": str(accelerator.device),
    }


def _steps(preset: Preset, steps: int | None, epochs: int | None, groups: Sequence[Group], processes: int) -> int:
    """Return the optimiser steps: those given, those of so many epochs, or the preset's; at least one."""
    if steps:
        return steps
    epochs = epochs or preset.epochs
    if epochs is None:
        assert preset.steps is not None
        return preset.steps
    images = sum(len(g) for g in groups)
    return max(1, round(epochs * images / (preset.batch * preset.accumulation * processes)))
