"""What a training run starts from: the network, new or of an earlier prior, and the configuration kept with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from cryoprior.errors import InputError
from cryoprior.prior.checkpoint import PriorConfig, build_network, load_prior, prior_folder, read_config
from cryoprior.prior.network import SignalNetwork
from cryoprior.prior.operator_family import OperatorFamily
from cryoprior.training.data import TrainingImages
from cryoprior.training.groups import Group, TrainingSet
from cryoprior.training.measured import TrainingMeasurements
from cryoprior.training.presets import Preset


def prior_config(
    preset: Preset,
    groups: Sequence[Group],
    *,
    init: str | None,
    operator_aware: bool,
    leave_out: Sequence[str],
    description: str,
) -> PriorConfig:
    """Return the configuration of the prior that these groups train, before its first step.

    init: the prior that it goes on from, if any; leave_out: kinds of operator that an operator-aware one never sees.
    """
    stacks = [stack for group in groups for stack in group.stacks]
    pixel_sizes = np.concatenate([s.pixel_size for s in stacks])
    low, high = _intensity_range(groups) if preset.objective == "ddpm" else (-1.0, 1.0)
    return PriorConfig(
        objective=preset.objective,
        channels=preset.channels,
        layers=preset.layers,
        spectra={g.box: g.spectra for g in groups},
        intensity={s.digest: (s.offset, s.scale) for s in stacks},
        pixel_size_angstrom=(float(pixel_sizes.min()), float(pixel_sizes.max())),
        trained_on=_trained_on(init, stacks),
        description=description,
        operators=_operators(groups, operator_aware, leave_out),
        means_only=any(isinstance(group, TrainingMeasurements) for group in groups),
        ddpm_scale=2 / (high - low),
        ddpm_offset=-(high + low) / (high - low),
    )


def check_boxes(config: PriorConfig, groups: Sequence[Group], preset: Preset) -> None:
    """Check that the network takes the boxes of the groups.

    Raises
    ------
    InputError: a box that the network cannot halve often enough, several boxes where the objective takes one.
    """
    multiple = preset.network().multiple if preset.objective == "signal" else 2 ** (len(preset.channels) - 1)
    for group in groups:
        if group.box % multiple:
            remedy = "measure with" if isinstance(group, TrainingMeasurements) else "pass"
            raise InputError(
                f"{group.stacks[0].path}: box {group.box} is no multiple of {multiple}, which this network "
                f"needs; {remedy} <box> {max(multiple, group.box // multiple * multiple)}"
            )
    if preset.objective == "ddpm" and len(groups) > 1:
        raise InputError(f"boxes {', '.join(str(g.box) for g in groups)}: this preset trains one box; pass <box>")


def first_network(config: PriorConfig, init: str | None, seed: int) -> nn.Module:
    """Return the network before its first step: random weights, or those of the prior ``init``.

    Raises
    ------
    InputError: a prior of another objective or size, an operator-aware one where the run is not.
    """
    torch.manual_seed(seed)
    network = build_network(config)
    if init is not None:
        start = load_prior(init)
        source = getattr(start.denoiser, "network", None)
        if (start.config.objective, start.config.channels, start.config.layers) != (
            config.objective,
            config.channels,
            config.layers,
        ):
            raise InputError(
                f"{init}: a {start.config.objective} network with channels {start.config.channels}; this run "
                f"trains {config.objective} with {config.channels}; pass the preset and <width> it was trained with"
            )
        assert isinstance(source, nn.Module)
        if not isinstance(network, SignalNetwork):
            network.load_state_dict(source.state_dict())
        elif start.config.operator_aware and not config.operator_aware:
            raise InputError(f"{init}: an operator-aware prior; add <operator_aware> to go on from it")
        else:
            network.load_base(source.state_dict())
    return network


def _trained_on(init: str | None, stacks: Sequence[TrainingSet]) -> dict[str, list[int]]:
    """Return the rows of every file that this prior, and the one it goes on from, learned from."""
    rows = {} if init is None else dict(read_config(prior_folder(init)).trained_on)
    for stack in stacks:
        known = set(rows.get(stack.digest, []))
        rows[stack.digest] = sorted(known.union(stack.index[stack.train_rows].tolist()))
    return rows


def _operators(groups: Sequence[Group], operator_aware: bool, leave_out: Sequence[str]) -> dict[str, Any]:
    measured = [group.stack.operator for group in groups if isinstance(group, TrainingMeasurements)]
    if measured:
        return dataclasses.asdict(OperatorFamily.like(measured[0]))
    return dataclasses.asdict(OperatorFamily().without(leave_out)) if operator_aware else {}


def _intensity_range(groups: Sequence[Group]) -> tuple[float, float]:
    """Return the range of grey values that is mapped to [-1, 1], one affine map for the data set."""
    images = torch.cat([g.batch(0, min(256, len(g))).flatten() for g in groups if isinstance(g, TrainingImages)])
    return float(images.min()), float(images.max())


def planned(
    preset: Preset, groups: Sequence[Group], network: nn.Module, steps: int, accelerator: Accelerator
) -> dict[str, Any]:
    """Return sizes, batches, steps and processes of a run that has been built and not begun.

    ``batch`` is the images that one process takes at a time; where there are several boxes, of the smallest.
    ``effective_batch`` is the images of one optimiser step, over all processes and accumulated parts.
    """
    stacks = [stack for group in groups for stack in group.stacks]
    train = sum(len(stack.train_rows) for stack in stacks)
    effective = preset.batch * preset.accumulation * accelerator.num_processes
    return {
        "dry_run": True,
        "parameters": sum(p.numel() for p in network.parameters()),
        "train": train,
        "validation": sum(len(stack.validation_rows) for stack in stacks),
        "boxes": [group.box for group in groups],
        "batch": preset.batch,
        "processes": accelerator.num_processes,
        "accumulation": preset.accumulation,
        "effective_batch": effective,
        "steps_per_epoch": round(train / effective, 2),
        "epochs": round(steps * effective / train, 2),
        "steps": steps,
        "learning_rate": preset.learning_rate,
        "precision": preset.precision,
        "device": str(accelerator.device),
    }
