"""Trains a prior on particle images, or on measurements of them: the engine of ``cryoprior train``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cryoprior.errors import InputError
from cryoprior.interruption import Stop, deferred
from cryoprior.operators import Operator
from cryoprior.prior.checkpoint import Prior
from cryoprior.progress import track
from cryoprior.training.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from cryoprior.training.files import write_curve, write_trained
from cryoprior.training.inputs import training_data
from cryoprior.training.loop import Progress, Training
from cryoprior.training.place import check_free, open_output
from cryoprior.training.setup import TrainingChoices, TrainingSetup, prepare
from cryoprior.training.trained import IN_MEMORY, TrainedPrior, trained_prior

if TYPE_CHECKING:
    from accelerate import Accelerator

logger = logging.getLogger("cryoprior")


def train(
    images: Any,
    pixel_size: float | None = None,
    clean: Any = None,
    preset: str = "small",
    *,
    steps: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
    operator_aware: bool = False,
    leave_out: Sequence[str] = (),
    init: str | Path | Prior | None = None,
    operator: Operator | None = None,
    sigma: float = 0.0,
    particles: Sequence[int] | np.ndarray | None = None,
    box: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    width: float = 1.0,
    precision: str | None = None,
    validation: float = 0.05,
    every: int = 250,
    description: str = "",
    device: str = "auto",
    output: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> TrainedPrior:
    """Return a prior that was trained on images or on measurements.

    Parameters
    ----------
    images: particles as a tensor or an array, (n, box, box), or a stack that was read; several data sets as a list.
        With ``operator``: what was measured of them, (n, m), or measurements that were read.
    pixel_size: angstrom per pixel of arrays; stacks know theirs.
    clean: the same particles without noise, where they are known: one for each data set.
    preset: network, objective and optimiser; ``small``, ``paper-128`` or ``paper-256``.
    steps, epochs: how long; the preset's where neither is given.
    seed: of the split, the batches and the noise.
    operator_aware: learn from random measurements too, so that a posterior mean takes one evaluation.
    leave_out: kinds of operator that an operator-aware prior never sees, for example ``block=8``.
    init: a prior whose weights the training goes on from.
    operator, sigma, particles: what measured, the noise of y, and the number of every particle (0 to n - 1 by default).
    box: pixels to resample the images to; the preset's, if it has any.
    batch, learning_rate, precision: in place of the preset's. width: factor on the channels of the network.
    validation: fraction of the particles that is held out.
    every: steps between validations and checkpoints.
    description: what the prior says of itself, in words.
    device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
    output: a folder to write the prior and its checkpoints to; nothing is written without one.
    resume: go on with the run in ``output``. overwrite: replace what ``output`` holds.

    Raises
    ------
    InputError: values that are not images, choices that contradict each other, an output in use.
    """
    if output is None and (resume or overwrite):
        name = "resume" if resume else "overwrite"
        raise InputError(f"<{name}> without <output>: there is no folder to go on with or to replace; pass it")
    choices = TrainingChoices(
        preset=preset,
        steps=steps,
        epochs=epochs,
        seed=seed,
        operator_aware=operator_aware,
        leave_out=leave_out,
        init=init,
        box=box,
        batch=batch,
        learning_rate=learning_rate,
        width=width,
        precision=precision,
        validation=validation,
        description=description,
        device=device,
    )
    setup = prepare(training_data(images, pixel_size, clean, operator, sigma, particles), choices)
    if output is None:
        return run_training(setup, every)
    return train_into(Path(output), setup, every, choices.record(), resume=resume, overwrite=overwrite)


def train_into(
    folder: Path,
    setup: TrainingSetup,
    every: int,
    options: Any,
    *,
    half: bool = False,
    resume: bool = False,
    overwrite: bool = False,
) -> TrainedPrior:
    """Return a trained prior; the folder holds its checkpoints during the training, and the prior afterwards.

    Parameters
    ----------
    every: steps between validations and checkpoints.
    options: the options that provenance.json records.
    half: write the weights as float16.
    resume: go on with the run in the folder. overwrite: replace what it holds.

    Raises
    ------
    InputError: the folder is in use, or it holds another run than the one to go on with.
    """
    check_free(folder, resume=resume, overwrite=overwrite)
    with open_output(folder, setup, resume=resume, overwrite=overwrite) as work:
        training = Training(setup)
        curve = []
        if has_checkpoint(work):
            curve = load_checkpoint(work, training)
            if setup.accelerator.is_main_process:
                write_curve(work, curve)  # a killed run may have left another

        def keep() -> None:
            if setup.accelerator.is_main_process:
                save_checkpoint(work, training, curve)
                write_curve(work, curve)

        trained = _run(setup, training, every, curve, keep, folder)
        if setup.accelerator.is_main_process:
            write_trained(work, trained, folder, options, half=half)
    return trained


def run_training(setup: TrainingSetup, every: int) -> TrainedPrior:
    """Return a prior that is trained in memory, with a validation every ``every`` steps."""
    return _run(setup, Training(setup), every, [], lambda: None, IN_MEMORY)


def _run(
    setup: TrainingSetup,
    training: Training,
    every: int,
    curve: list[Progress],
    keep: Callable[[], None],
    path: Path,
) -> TrainedPrior:
    """Return the prior at the end of a training; the curve grows, and ``keep`` is called, with every validation."""

    def report(line: Progress) -> None:
        curve.append(line)
        keep()
        if setup.accelerator.is_main_process:
            logger.info("step %d: validation loss %.4f %s", line.step, line.validation_loss, line.correlation)

    with deferred() as stop:  # a step is taken whole
        for _ in track(training.run(every, report), "training", setup.steps - training.step):
            if _is_told_to_stop(setup.accelerator, stop):
                keep()
                stop.interrupt()
    setup.accelerator.wait_for_everyone()
    return trained_prior(setup, training, tuple(curve), path)


def _is_told_to_stop(accelerator: Accelerator, stop: Stop) -> bool:
    """Return whether any process of the training was told to stop: one that goes on alone would wait for ever."""
    if accelerator.num_processes == 1:
        return stop.requested
    if stop.requested:
        accelerator.set_trigger()
    return bool(accelerator.check_trigger())
