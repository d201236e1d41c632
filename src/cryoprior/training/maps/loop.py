"""The training loop of a map prior, resumable to the step: every batch is that of its step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.prior.volume.network import MapNetwork
from cryoprior.random import numpy_stream
from cryoprior.training.loop import Progress
from cryoprior.training.maps.patches import Batch, PatchSource, judged
from cryoprior.training.resuming import ResumableTraining

VALIDATION_BATCHES = 16


@dataclass(frozen=True)
class MapTrainingChoices:
    """How long and how a map prior is trained.

    patch: voxels a side. batch: patches in a step. precision: ``no`` or ``bf16``.
    """

    steps: int = 4000
    batch: int = 4
    patch: int = 40
    learning_rate: float = 1e-3
    warmup: int = 100
    ema_decay: float = 0.998
    clip: float = 1.0
    weight_decay: float = 1e-3
    precision: str = "no"
    seed: int = 0


class MapTraining(ResumableTraining):
    """A network, its optimiser and its average, and the step they have reached. The network is trained in place."""

    def __init__(
        self,
        network: MapNetwork,
        source: PatchSource,
        held_out: PatchSource | None,
        choices: MapTrainingChoices,
        device: str | torch.device = "cpu",
    ) -> None:
        from diffusers.training_utils import EMAModel

        self.source, self.held_out, self.choices, self.steps = source, held_out, choices, choices.steps
        self.network, self.device = network.to(device), torch.device(device)
        self.step, self.images, self.seconds = 0, 0, 0.0
        self._losses = []
        self.optimizer = torch.optim.AdamW(
            network.parameters(), choices.learning_rate, betas=(0.9, 0.99), weight_decay=choices.weight_decay
        )
        self.ema = EMAModel(
            network.parameters(), decay=choices.ema_decay, use_ema_warmup=True, inv_gamma=1.0, power=0.75
        )

    def run(self, every: int, report: Callable[[Progress], None]) -> Iterator[int]:
        """Yield every finished step; ``report`` is called with the log every ``every`` steps and at the end."""
        while self.step < self.steps:
            start = time.perf_counter()
            self._losses.append(self._optimiser_step())
            self.step += 1
            self.images += self.choices.batch
            self.seconds += time.perf_counter() - start
            if self.step % every == 0 or self.step == self.steps:
                mean, self._losses = float(np.mean(self._losses)), []
                report(self.validate(mean))
            yield self.step

    def _optimiser_step(self) -> float:
        choices = self.choices
        for group in self.optimizer.param_groups:
            group["lr"] = choices.learning_rate * self._schedule(self.step)
        self.network.train()
        batch = self.source.batch(choices.batch, choices.patch, numpy_stream(choices.seed, "train-map", self.step))
        loss = self._loss(batch)[0].mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), choices.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.step(self.network.parameters())
        total = float(loss.detach())
        if not math.isfinite(total):
            raise InputError(f"training: loss {total} at step {self.step}; lower <learning_rate>, or check the maps")
        return total

    def _loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean square errors of the network and of the Wiener estimate, in units of the expected one."""
        evidence, target = batch.evidence, batch.target.to(self.device)
        planes, told = evidence.planes.to(self.device), evidence.condition.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.choices.precision == "bf16"):
            residual = self.network.residual(planes, told)
        error = evidence.error.to(self.device)[:, None, None, None]
        wiener = (target - evidence.linear.to(self.device)) / error
        return judged(wiener - residual.float()), judged(wiener)

    @property
    def bare_network(self) -> MapNetwork:
        """Return the network, which has no wrapper."""
        return self.network

    def _schedule(self, step: int) -> float:
        """Return the factor on the learning rate: linear warm-up, then half a cosine to zero."""
        if step < self.choices.warmup:
            return (step + 1) / self.choices.warmup
        progress = (step - self.choices.warmup) / max(1, self.steps - self.choices.warmup)
        return 0.5 * (1 + math.cos(math.pi * progress))

    @torch.no_grad()
    def validate(self, train_loss: float) -> Progress:
        """Return the losses of the averaged network; and of the Wiener estimate, on held-out molecules."""
        source = self.held_out or self.source
        self.ema.store(self.network.parameters())
        self.ema.copy_to(self.network.parameters())
        self.network.eval()
        both = []
        for place in range(VALIDATION_BATCHES):
            stream = numpy_stream(self.choices.seed, "train-map/validation", place)
            losses = self._loss(source.batch(self.choices.batch, self.choices.patch, stream))
            both.append([float(loss.mean()) for loss in losses])
        self.ema.restore(self.network.parameters())
        network, wiener = np.mean(both, axis=0)
        return Progress(self.step, self.images, self.seconds, train_loss, float(network), {"wiener": float(wiener)})

    def averaged(self) -> MapNetwork:
        """Return the network with the averaged weights copied into it; training does not go on from there."""
        self.ema.copy_to(self.network.parameters())
        return self.network
