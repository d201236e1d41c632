"""What a training run starts from: the network, new or of an earlier prior, and the configuration kept with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from cryoprior.errors import InputError
from cryoprior.prior.checkpoint import PriorConfig, build_network, load_prior, prior_folder, read_config
from cryoprior.prior.data import TrainingImages
from cryoprior.prior.measured import MeasuredParticles
from cryoprior.prior.network import SignalNetwork
from cryoprior.prior.presets import Preset
from cryoprior.prior.random_operators import OperatorFamily
from cryoprior.stages.training_sets import Group, TrainingSet


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
        means_only=any(isinstance(group, MeasuredParticles) for group in groups),
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
            remedy = "measure with" if isinstance(group, MeasuredParticles) else "pass"
            raise InputError(
                f"{group.stacks[0].path}: box {group.box} is no multiple of {multiple}, which this network "
                f"needs; {remedy} --box {max(multiple, group.box // multiple * multiple)}"
            )
    if preset.objective == "ddpm" and len(groups) > 1:
        raise InputError(f"boxes {', '.join(str(g.box) for g in groups)}: this preset trains one box; pass --box")


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
                f"trains {config.objective} with {config.channels}; pass the preset and --width it was trained with"
            )
        assert isinstance(source, nn.Module)
        if not isinstance(network, SignalNetwork):
            network.load_state_dict(source.state_dict())
        elif start.config.operator_aware and not config.operator_aware:
            raise InputError(f"{init}: an operator-aware prior; add --operator-aware to go on from it")
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
    measured = [group.stack.operator for group in groups if isinstance(group, MeasuredParticles)]
    if measured:
        return dataclasses.asdict(OperatorFamily.like(measured[0]))
    return dataclasses.asdict(OperatorFamily().without(leave_out)) if operator_aware else {}


def _intensity_range(groups: Sequence[Group]) -> tuple[float, float]:
    """Return the range of grey values that is mapped to [-1, 1], one affine map for the data set."""
    images = torch.cat([g.batch(0, min(256, len(g))).flatten() for g in groups if isinstance(g, TrainingImages)])
    return float(images.min()), float(images.max())
