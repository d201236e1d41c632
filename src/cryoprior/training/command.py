"""``cryoprior train``: a prior learned from particles, with its split, its curve and its pictures beside it."""

from __future__ import annotations

import csv
import dataclasses
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from cryoprior.errors import InputError
from cryoprior.options import argument, check_options, option
from cryoprior.output.record import write_provenance, write_summary
from cryoprior.prior.checkpoint import PriorConfig, make_denoiser, save_prior
from cryoprior.progress import track
from cryoprior.training.groups import (
    FIXED_VALIDATION,
    Group,
    TrainingSet,
    image_groups,
    is_measured,
    make_objective,
    measured_group,
)
from cryoprior.training.loop import Progress, Training
from cryoprior.training.measured import TrainingMeasurements
from cryoprior.training.pictures import draw_measured_pictures, draw_pictures
from cryoprior.training.presets import PRESETS, Preset
from cryoprior.training.start import check_boxes, first_network, planned, prior_config

logger = logging.getLogger("cryoprior")

CURVE = ("step", "images", "seconds", "train_loss", "validation_loss", "correlation")


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

    With ``dry_run`` it is what the run would take, of :func:`planned`, and nothing has been written.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    preset = _preset(options)
    accelerator = Accelerator(mixed_precision=preset.precision, cpu=options.cpu)
    _check_free(options, accelerator)
    groups = _groups(options, preset)
    stacks = [stack for group in groups for stack in group.stacks]
    config = prior_config(
        preset,
        groups,
        init=options.init,
        operator_aware=options.operator_aware,
        leave_out=options.leave_out,
        description=options.description,
    )
    check_boxes(config, groups, preset)
    network = first_network(config, options.init, options.seed)
    steps = _steps(options, preset, groups, accelerator.num_processes)
    objectives = [make_objective(config, group, options.seed) for group in groups]
    if options.dry_run:
        return planned(preset, groups, network, steps, accelerator)
    training = Training(network, groups, objectives, preset, steps, options.seed, accelerator)
    if options.resume:
        training.load(options.output)
    _claim(options, accelerator)
    if not options.resume and accelerator.is_main_process:
        _write_split(options.output, stacks)
    log: list[Progress] = []
    with (options.output / "curve.csv").open("a", newline="") as file:
        writer = csv.writer(file)
        if accelerator.is_main_process and file.tell() == 0:
            writer.writerow(CURVE)

        def report(progress: Progress) -> None:
            log.append(progress)
            training.save(options.output)
            if accelerator.is_main_process:
                _write_line(writer, progress)
                file.flush()

        for _ in track(training.run(options.every, report), "training", steps - training.step):
            pass
    accelerator.wait_for_everyone()
    return _finish(options, config, training, groups, log, accelerator)


def _check_free(options: Options, accelerator: Accelerator) -> None:
    """Refuse an output folder in use, unless this run resumes or replaces it."""
    folder = options.output
    used = folder.exists() and any(folder.iterdir())
    if used and not options.resume and not options.overwrite and accelerator.is_main_process:
        raise InputError(f"{folder}: the output is in use; pass another <output>, <resume> or <overwrite>")
    accelerator.wait_for_everyone()


def _claim(options: Options, accelerator: Accelerator) -> None:
    """Make the output folder, without what an earlier run left of a prior; a checkpoint is written as it goes."""
    folder = options.output
    if accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        if not options.resume:
            for name in ("model.safetensors", "checkpoint.safetensors", "checkpoint.json", "curve.csv"):
                (folder / name).unlink(missing_ok=True)
    accelerator.wait_for_everyone()


def _preset(options: Options) -> Preset:
    preset = PRESETS[options.preset]
    given = {"batch": options.batch, "learning_rate": options.learning_rate, "precision": options.precision}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    channels = tuple(max(8, round(c * options.width / 8) * 8) for c in preset.channels)
    return dataclasses.replace(preset, channels=channels, **changes)


def _groups(options: Options, preset: Preset) -> list[Group]:
    if not any(map(is_measured, options.particles)):
        given = (options.particles, options.clean, options.box or preset.box, options.pixel_size)
        return image_groups(*given, options.validation, options.seed)
    if len(options.particles) > 1:
        raise InputError(
            f"{options.particles[0]}: measurements beside {len(options.particles) - 1} more; expected one .zarr alone, "
            "or particle stacks"
        )
    for name in ("clean", "box", "pixel_size", "operator_aware"):
        if getattr(options, name):
            raise InputError(f"<{name}> with {options.particles[0]}: measurements hold no images; leave it out")
    if preset.objective != "signal":
        raise InputError(f"{options.particles[0]}: measurements with <preset> {options.preset}; use <preset=small>")
    return [measured_group(options.particles[0], options.validation, options.seed)]


def _steps(options: Options, preset: Preset, groups: Sequence[Group], world: int) -> int:
    if options.steps:
        return options.steps
    epochs = options.epochs or preset.epochs
    if epochs is None:
        assert preset.steps is not None
        return preset.steps
    images = sum(len(g) for g in groups)
    return max(1, round(epochs * images / (preset.batch * preset.accumulation * world)))


def _write_split(folder: Path, stacks: Sequence[TrainingSet]) -> None:
    """Write which rows trained and which were held out, and the fixed 16 of the paper's validation subset."""
    split = [
        {
            "particles": str(s.path),
            "digest": s.digest,
            "train": s.index[s.train_rows].tolist(),
            "validation": s.index[s.validation_rows].tolist(),
            "validation_fixed": s.index[s.validation_rows[:FIXED_VALIDATION]].tolist(),
        }
        for s in stacks
    ]
    partial = folder / ".split.partial"
    partial.write_text(json.dumps(split) + "\n")
    partial.replace(folder / "split.json")


def _write_line(writer: Any, progress: Progress) -> None:
    row = [progress.step, progress.images, f"{progress.seconds:.1f}", f"{progress.train_loss:.5f}"]
    writer.writerow([*row, f"{progress.validation_loss:.5f}", json.dumps(progress.correlation)])
    logger.info("step %d: validation loss %.4f %s", progress.step, progress.validation_loss, progress.correlation)


def _finish(
    options: Options,
    config: PriorConfig,
    training: Training,
    groups: Sequence[Group],
    log: Sequence[Progress],
    accelerator: Accelerator,
) -> dict[str, Any]:
    loss = log[-1].validation_loss if log else None
    config = dataclasses.replace(config, steps=training.step, validation_loss=loss)
    network = training.averaged()
    parameters = sum(p.numel() for p in network.parameters())
    summary = {
        "steps": training.step,
        "images": training.images,
        "seconds": training.seconds,
        "validation_loss": loss,
        "correlation": log[-1].correlation if log else {},
        "parameters": parameters,
        "boxes": [g.box for g in groups],
        "train": sum(len(s.train_rows) for g in groups for s in g.stacks),
        "validation": sum(len(s.validation_rows) for g in groups for s in g.stacks),
        "output": str(options.output),
    }
    if accelerator.is_main_process:
        save_prior(options.output, network, config, half=options.half)
        denoiser = make_denoiser(network.cpu(), config)
        for group in groups:
            if isinstance(group, TrainingMeasurements):
                draw_measured_pictures(options.output, denoiser, group)
            else:
                draw_pictures(options.output, denoiser, group, options.seed)
        write_provenance(options.output, "train", options, [*options.particles, *options.clean], options.seed)
        write_summary(options.output, summary)
    accelerator.wait_for_everyone()
    return summary
