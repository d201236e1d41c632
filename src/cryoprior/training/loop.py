"""The training loop: any number of boxes and processes, resumable to the step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from cryoprior.errors import InputError
from cryoprior.training.draws import BatchDraws
from cryoprior.training.measured import MeasuredBatch
from cryoprior.training.objectives import VALIDATION_BATCH
from cryoprior.training.resuming import ResumableTraining
from cryoprior.training.setup import TrainingSetup

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Progress:
    """One line of the training log."""

    step: int
    images: int
    seconds: float
    train_loss: float
    validation_loss: float
    correlation: dict[str, float]
    """Correlation of the denoised with the target images, by box and noise level, for the ``signal`` objective."""


class Training(ResumableTraining):
    """A network, its optimiser and its average, and the step they have reached.

    The network of the setup is trained in place. Steps take the groups, one for each box, in turn.
    """

    def __init__(self, setup: TrainingSetup) -> None:
        from diffusers.training_utils import EMAModel

        self.groups, self.objectives, self.preset = list(setup.groups), list(setup.objectives), setup.preset
        self.steps, self.seed, self.accelerator = setup.steps, setup.seed, setup.accelerator
        self.step, self.images, self.seconds = 0, 0, 0.0
        self.device, self._losses = self.accelerator.device, []
        network, preset = setup.network, setup.preset
        optimizer = torch.optim.AdamW(
            network.parameters(), preset.learning_rate, betas=preset.betas, eps=1e-8, weight_decay=preset.weight_decay
        )
        self.ema = EMAModel(
            network.parameters(),
            decay=preset.ema_decay,
            use_ema_warmup=True,
            inv_gamma=1.0,
            power=preset.ema_power,
        )
        self.network, self.optimizer = self.accelerator.prepare(network, optimizer)
        self.ema.to(self.accelerator.device)

    @property
    def bare_network(self) -> nn.Module:
        """Return the network without the wrapper of several processes."""
        return self.accelerator.unwrap_model(self.network)  # type: ignore[no-any-return]

    def run(self, every: int, report: Callable[[Progress], None]) -> Iterator[int]:
        """Yield every finished step; ``report`` is called with the log every ``every`` steps and at the end."""
        while self.step < self.steps:
            start = time.perf_counter()
            self._losses.append(self._optimiser_step())
            self.step += 1
            self.seconds += time.perf_counter() - start
            if self.step % every == 0 or self.step == self.steps:
                mean, self._losses = float(np.mean(self._losses)), []
                self._check_weights()
                report(self.validate(mean))
            yield self.step

    def _optimiser_step(self) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.preset.learning_rate * self._schedule(self.step)
        self.network.train()
        total = 0.0
        for micro in range(self.preset.accumulation):
            group_index, images, draws = self._batch(micro)
            last = micro == self.preset.accumulation - 1
            with self.accelerator.autocast(), _synchronised(self.accelerator, self.network, last):
                loss = self.objectives[group_index].loss(self.network, images, draws).mean()
                self.accelerator.backward(loss / self.preset.accumulation)
            total += float(loss.detach()) / self.preset.accumulation
        self.accelerator.clip_grad_norm_(self.network.parameters(), self.preset.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.step(self.bare_network.parameters())
        if not math.isfinite(total):
            raise InputError(
                f"training: loss {total} at step {self.step}; lower <learning_rate>, or check the particles"
            )
        return total

    def _check_weights(self) -> None:
        """Raise InputError for weights that are not finite: neither kept nor gone on from."""
        if not all(bool(torch.isfinite(weight).all()) for weight in self.bare_network.parameters()):
            raise InputError(
                f"training: weights that are not finite at step {self.step}; lower <learning_rate>, or check the "
                "particles"
            )

    def _schedule(self, step: int) -> float:
        """Return the factor on the learning rate: linear warm-up, then half a cosine to zero."""
        if step < self.preset.warmup:
            return (step + 1) / self.preset.warmup
        progress = (step - self.preset.warmup) / max(1, self.steps - self.preset.warmup)
        return 0.5 * (1 + math.cos(math.pi * progress))

    def _batch(self, micro: int) -> tuple[int, Tensor | MeasuredBatch, BatchDraws]:
        """Return the group, images and streams of this step on this process; larger boxes take fewer images.

        The batches of all processes are one batch, the same for any number of them.
        """
        count, rank, world = len(self.groups), self.accelerator.process_index, self.accelerator.num_processes
        index = self.step % count
        group = self.groups[index]
        smallest = min(g.box for g in self.groups)
        size = max(1, round(self.preset.batch * (smallest / group.box) ** 2))
        batch = (self.step // count) * self.preset.accumulation + micro
        draws = BatchDraws(self.seed, f"train/{group.box}", batch, rank * size)
        images = group.augmented((batch * world + rank) * size, size, draws)
        self.images += size * world
        return index, images.to(self.accelerator.device), draws

    @torch.no_grad()
    def validate(self, train_loss: float) -> Progress:
        """Return the losses, and the correlation with the target on held-out images, of the averaged network."""
        network = self.bare_network
        self.ema.store(network.parameters())
        self.ema.copy_to(network.parameters())
        network.eval()
        losses: list[float] = []
        correlation: dict[str, float] = {}
        for group, objective in zip(self.groups, self.objectives, strict=True):
            smallest = min(g.box for g in self.groups)
            limit = max(len(group.stacks), round(self.preset.validation_images * (smallest / group.box) ** 2))
            images, noise = group.validation(limit)
            device, parts = self.accelerator.device, images.split(VALIDATION_BATCH)
            for number, part in enumerate(parts):
                draws = BatchDraws(self.seed, f"validation/{group.box}", number)
                losses += objective.loss(network, part.to(device), draws).tolist()
            draws = BatchDraws(self.seed, f"validation/{group.box}", len(parts))
            correlation |= objective.correlations(network, images, noise, draws)
        self.ema.restore(network.parameters())
        return Progress(self.step, self.images, self.seconds, train_loss, float(np.mean(losses)), correlation)

    def averaged(self) -> nn.Module:
        """Return the network, with the averaged weights copied into it; training does not go on from there."""
        self.ema.copy_to(self.bare_network.parameters())
        return self.bare_network


def _synchronised(accelerator: Accelerator, network: nn.Module, last: bool) -> AbstractContextManager[Any]:
    """Return a context in which gradients are exchanged only for the last part of an accumulated batch."""
    return nullcontext() if last else accelerator.no_sync(network)
