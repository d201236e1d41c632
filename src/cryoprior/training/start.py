"""What a training run starts from: its network, new or of an earlier prior, and the configuration kept with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from cryoprior.errors import InputError
from cryoprior.prior.checkpoint import Prior, build_network
from cryoprior.prior.config import PriorConfig
from cryoprior.prior.network import SignalNetwork
from cryoprior.prior.operator_family import OperatorFamily
from cryoprior.training.data import TrainingImages
from cryoprior.training.groups import Group, TrainingSet
from cryoprior.training.measured import TrainingMeasurements
from cryoprior.training.presets import Preset


def prior_config(
    preset: Preset,
    groups: Sequence[Group],
    start: Prior | None,
    operator_aware: bool,
    leave_out: Sequence[str],
    description: str,
) -> PriorConfig:
    """Return the configuration of the prior that these groups train, before its first step."""
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
        trained_on=_trained_on(start, stacks),
        description=description,
        operators=_operators(groups, operator_aware, leave_out),
        means_only=any(isinstance(group, TrainingMeasurements) for group in groups),
        ddpm_scale=2 / (high - low),
        ddpm_offset=-(high + low) / (high - low),
    )


def check_boxes(config: PriorConfig, groups: Sequence[Group], preset: Preset) -> None:
    """Raise InputError for a box that the network cannot halve often enough, or several where it takes one."""
    multiple = preset.network().multiple if preset.objective == "signal" else 2 ** (len(preset.channels) - 1)
    for group in groups:
        if group.box % multiple:
            remedy = "measure with" if isinstance(group, TrainingMeasurements) else "pass"
            raise InputError(
                f"{group.stacks[0].path}: box {group.box} is no multiple of {multiple}, which this network "
                f"needs; {remedy} <box> {max(multiple, group.box // multiple * multiple)}"
            )
    if config.objective == "ddpm" and len(groups) > 1:
        raise InputError(f"boxes {', '.join(str(g.box) for g in groups)}: this preset trains one box; pass <box>")


def first_network(config: PriorConfig, start: Prior | None, seed: int) -> nn.Module:
    """Return the network before its first step: random weights, or those of the prior to go on from.

    Raises
    ------
    InputError: a prior of another objective or size, an operator-aware one where the run is not.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(config)
    if start is None:
        return network
    source = getattr(start.denoiser, "network", None)
    theirs, ours = ((c.objective, c.channels, c.layers) for c in (start.config, config))
    if theirs != ours or not isinstance(source, nn.Module):
        raise InputError(
            f"{start.path}: a {theirs[0]} network with channels {theirs[1]}; this run trains {ours[0]} with {ours[1]}; "
            "pass the preset and <width> it was trained with"
        )
    if not isinstance(network, SignalNetwork):
        network.load_state_dict(source.state_dict())
    elif start.config.operator_aware and not config.operator_aware:
        raise InputError(f"{start.path}: an operator-aware prior; add <operator_aware> to go on from it")
    else:
        network.load_base(source.state_dict())
    return network


def _trained_on(start: Prior | None, stacks: Sequence[TrainingSet]) -> dict[str, list[int]]:
    """Return the rows of every data set that this prior, and the one it goes on from, learned from."""
    rows = {} if start is None else dict(start.config.trained_on)
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
