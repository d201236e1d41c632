"""``cryoprior train``: a prior learned from particles, with its split, its curve and its pictures beside it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryoprior.errors import InputError
from cryoprior.options import argument, check_options, option
from cryoprior.training.presets import PRESETS

if TYPE_CHECKING:
    from cryoprior.training.setup import TrainingChoices


@dataclass(frozen=True)
class Options:
    """What to train on, and how."""

    particles: tuple[Path, ...] = argument(
        "particle stacks (.star, .cs, .mrcs), one for each data set; or measurements (.zarr)",
        many=True,
    )
    output: Path = option("folder of the prior", flags=("-o", "--output"))
    preset: str = option("network, objective and optimiser", "small", choices=PRESETS)
    clean: tuple[Path, ...] = option("clean images of each stack in turn, where known (repeat)", (), repeat=True)
    box: int | None = option(
        "box to resample all stacks to, by Fourier crop or bicubic enlargement (default: the preset's, if any)",
        None,
        minimum=8,
    )
    init: str | None = option("go on from the weights of a prior: default, or the folder of one", None)
    operator_aware: bool = option(
        "learn from random measurements too, so that the posterior mean of an image takes one evaluation", False
    )
    leave_out: tuple[str, ...] = option(
        "kind of operator to leave out of --operator-aware: block=8, pattern=ring, ... (repeat)", (), repeat=True
    )
    steps: int | None = option("optimiser steps (default: the preset's)", None, minimum=1)
    epochs: int | None = option("epochs instead of steps", None, minimum=1)
    batch: int | None = option("images a step and process (default: the preset's)", None, minimum=1)
    learning_rate: float | None = option("peak learning rate (default: the preset's)", None, minimum=0)
    width: float = option("factor on the channels of the network", 1.0, minimum=0.05, maximum=4)
    precision: str | None = option("no or bf16 (default: the preset's)", None, choices=("no", "bf16", "fp16"))
    validation: float = option("fraction held out", 0.05, minimum=0.0, maximum=0.9)
    every: int = option("steps between validations and checkpoints", 250, minimum=1)
    description: str = option("a sentence about the training set, kept with the prior", "")
    half: bool = option("write the weights as float16", False)
    resume: bool = option("go on with the run in the output folder", False)
    dry_run: bool = option(
        "read, check and build everything, train and write nothing, and say what it would take", False
    )
    pixel_size: float | None = option("angstrom a pixel, where the files do not say", None, minimum=0.01)
    threads: int | None = option("CPU threads (default: all)", None, minimum=1)
    cpu: bool = option("stay on the CPU even where there is a GPU", False)
    seed: int = option("seed of split, batches and noise", 0, minimum=0)
    overwrite: bool = option("replace the output folder", False)

    def __post_init__(self) -> None:
        check_options(self)
        if self.clean and len(self.clean) != len(self.particles):
            raise InputError(
                f"<clean>: {len(self.clean)} for {len(self.particles)} stacks; give one for each, in order"
            )
        if self.operator_aware and PRESETS[self.preset].objective != "signal":
            raise InputError(
                f"<operator_aware> with <preset> {self.preset}: a DDPM knows no operators; use <preset=small>"
            )
        if self.leave_out and not self.operator_aware:
            raise InputError("<leave_out> without <operator_aware>: there are no operators to leave out; add it")
        if self.dry_run and self.resume:
            raise InputError("<dry_run> with <resume>: a dry run goes on with nothing; leave one of them out")


def run(options: Options) -> dict[str, Any]:
    """Return the summary of a training run that wrote a prior: weights, configuration, split, curve and pictures.

    With ``dry_run`` it is what the run would take, of :func:`cryoprior.training.setup.planned`; nothing is written.
    """
    import torch

    from cryoprior.training.engine import check_free, train_into
    from cryoprior.training.inputs import read_training_data
    from cryoprior.training.setup import planned, prepare

    if options.threads:
        torch.set_num_threads(options.threads)
    check_free(options.output, resume=options.resume, overwrite=options.overwrite)
    setup = prepare(read_training_data(options.particles, options.clean, options.pixel_size), _choices(options))
    if options.dry_run:
        return planned(setup)
    trained = train_into(
        options.output,
        setup,
        options.every,
        options,
        half=options.half,
        resume=options.resume,
        overwrite=options.overwrite,
    )
    return {**trained.summary, "output": str(options.output)}


def _choices(options: Options) -> TrainingChoices:
    from cryoprior.training.setup import TrainingChoices

    same = {f.name for f in dataclasses.fields(TrainingChoices)} & {f.name for f in dataclasses.fields(Options)}
    return TrainingChoices(**{name: getattr(options, name) for name in same}, device="cpu" if options.cpu else "auto")
