"""``cryoprior train``: a prior learned from particles, with its split, its curve and its pictures beside it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryoprior.errors import InputError
from cryoprior.options import (
    COMPUTING,
    INPUT,
    OUTPUT,
    Computing,
    argument,
    check_options,
    option,
    output_option,
    overwrite_option,
)
from cryoprior.training.presets import PRESETS

if TYPE_CHECKING:
    from cryoprior.training.setup import TrainingChoices


EXAMPLE = "cryoprior train particles.star -o prior/ --operator-aware"
NEXT = "cryoprior reconstruct y.zarr -o recon/ --prior {output}"


@dataclass(frozen=True)
class Options(Computing):
    """What to train on, and how."""

    particles: tuple[Path, ...] = argument(
        "Particle stacks (.star, .cs, .mrcs), one for each data set; or measurements (.zarr).", many=True
    )
    output: Path = output_option("Folder of the prior.")
    preset: str = option("Network, objective and optimiser.", "small", choices=PRESETS)
    clean: tuple[Path, ...] = option(
        "Clean images of each stack in turn, where they are known; may be repeated.", (), repeat=True, group=INPUT
    )
    box: int | None = option(
        "Box to resample all stacks to, by Fourier crop or bicubic enlargement (default: the preset's, if any).",
        None,
        minimum=8,
    )
    init: str | None = option("Go on from the weights of a prior: default, or the folder of one.", None, group=INPUT)
    operator_aware: bool = option(
        "Learn from random measurements too, so that the posterior mean of an image takes one evaluation.", False
    )
    leave_out: tuple[str, ...] = option(
        "Kind of operator that --operator-aware leaves out: block=8, pattern=ring, ...; may be repeated.",
        (),
        repeat=True,
    )
    steps: int | None = option("Optimiser steps (default: the preset's).", None, minimum=1)
    epochs: int | None = option("Epochs, in place of steps.", None, minimum=1)
    batch: int | None = option("Images per step and process (default: the preset's).", None, minimum=1)
    learning_rate: float | None = option("Peak learning rate (default: the preset's).", None, minimum=0)
    width: float = option("Factor on the channels of the network.", 1.0, minimum=0.05, maximum=4)
    precision: str | None = option(
        "Precision of the network (default: the preset's).", None, choices=("no", "bf16", "fp16"), group=COMPUTING
    )
    validation: float = option("Share of the particles that is held out.", 0.05, minimum=0.0, maximum=0.9)
    every: int = option("Steps between validations and checkpoints.", 250, minimum=1)
    description: str = option("A sentence about the training set, kept with the prior.", "", group=OUTPUT)
    half: bool = option("Write the weights as float16.", False, group=OUTPUT)
    resume: bool = option("Go on with the run in the output folder.", False, group=OUTPUT)
    dry_run: bool = option("Read, check and build everything, train nothing, and say what it would take.", False)
    pixel_size: float | None = option(
        "Pixel size in angstrom, where the files do not say.", None, minimum=0.01, group=INPUT
    )
    cpu: bool = option("Stay on the processor: an older spelling of --device cpu.", False, hidden=True)
    seed: int = option("Seed of split, batches and noise.", 0, minimum=0)
    overwrite: bool = overwrite_option()

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

    With ``dry_run`` it is what the run would take, see :func:`cryoprior.training.setup.planned`; nothing is written.
    """
    from cryoprior.devices import limit_threads
    from cryoprior.training.engine import train_into
    from cryoprior.training.inputs import read_training_data
    from cryoprior.training.place import check_free
    from cryoprior.training.setup import planned, prepare

    limit_threads(options.threads)
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
    device = "cpu" if options.cpu else options.device
    return TrainingChoices(**({name: getattr(options, name) for name in same} | {"device": device}))
