"""What a training run would take: what ``train --dry-run`` says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accelerate import Accelerator
from torch import nn

from cryoprior.prior.presets import Preset
from cryoprior.stages.training_sets import Group


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
