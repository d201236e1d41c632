"""A prior as training leaves it: ready to reconstruct with, and with its curve and its split."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cryoprior.prior.checkpoint import Prior, build_network, make_denoiser
from cryoprior.training.data import FIXED_VALIDATION, drawn_rows
from cryoprior.training.loop import Progress, Training
from cryoprior.training.particles import training_particles
from cryoprior.training.setup import TrainingSetup

IN_MEMORY = Path("trained prior")
"""What messages call a prior that no file holds."""


@dataclass(frozen=True, repr=False)
class TrainedPrior(Prior):
    """A prior that was just trained; every function that takes a prior takes it.

    curve: the losses, and the correlations of denoised with clean images, at every validation.
    summary: the numbers of ``summary.json``.
    """

    network: nn.Module
    setup: TrainingSetup
    curve: tuple[Progress, ...]
    summary: dict[str, Any]

    def __repr__(self) -> str:
        loss = "unknown" if self.validation_loss is None else f"{self.validation_loss:.4f}"
        steps = f"{self.config.steps} steps, validation loss {loss}"
        return f"TrainedPrior({self.config.objective}, box {' '.join(map(str, self.boxes))}, {steps})"

    @property
    def losses(self) -> tuple[tuple[int, float, float], ...]:
        """Return step, training loss and validation loss at every validation."""
        return tuple((line.step, line.train_loss, line.validation_loss) for line in self.curve)

    @property
    def validation_loss(self) -> float | None:
        """Return the last loss on the particles that were held out."""
        return self.curve[-1].validation_loss if self.curve else None

    @property
    def split(self) -> list[dict[str, Any]]:
        """Return for each data set which rows trained and which were held out, and a fixed draw of 16 of the latter."""
        return [
            {
                "particles": str(stack.path),
                "digest": stack.digest,
                "train": stack.index[stack.train_rows].tolist(),
                "validation": stack.index[stack.validation_rows].tolist(),
                "validation_fixed": stack.index[
                    drawn_rows(stack.validation_rows, FIXED_VALIDATION, self.setup.seed)
                ].tolist(),
            }
            for stack in self.setup.stacks
        ]

    def save(self, folder: str | Path, *, half: bool = False, overwrite: bool = False) -> None:
        """Write the prior into a folder as ``cryoprior train`` does: weights, configuration, split, curve, pictures.

        Parameters
        ----------
        half: write the weights as float16.
        overwrite: replace what the folder holds.

        Raises
        ------
        InputError: the folder is in use.
        """
        from cryoprior.training.files import save_trained

        save_trained(self, Path(folder), half=half, overwrite=overwrite)


def trained_prior(setup: TrainingSetup, training: Training, curve: tuple[Progress, ...], path: Path) -> TrainedPrior:
    """Return the prior of the averaged weights, on the processor, as reading it from a folder would give it."""
    loss = curve[-1].validation_loss if curve else None
    config = dataclasses.replace(setup.config, steps=training.step, validation_loss=loss)
    with torch.random.fork_rng(devices=[]):
        network = build_network(config)
    network.load_state_dict({name: value.cpu() for name, value in training.averaged().state_dict().items()})
    network = network.eval().requires_grad_(False)
    summary = {
        "steps": training.step,
        "images": training.images,
        "seconds": training.seconds,
        "validation_loss": loss,
        "correlation": curve[-1].correlation if curve else {},
        **setup.sizes,
    }
    denoiser = make_denoiser(network, config)
    particles = training_particles(setup)
    return TrainedPrior(denoiser, config, path, network, setup, curve, summary, particles=particles)
