"""Trains a map prior: the engine of ``cryoprior train-map``."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.interruption import deferred
from cryoprior.output.folder import resume_output
from cryoprior.output.record import write_provenance, write_summary
from cryoprior.prior.volume.checkpoint import save_map_prior
from cryoprior.prior.volume.config import MapPriorConfig
from cryoprior.prior.volume.map_prior import MapPrior
from cryoprior.prior.volume.network import MapNetworkConfig
from cryoprior.progress import track
from cryoprior.training.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from cryoprior.training.files import write_curve
from cryoprior.training.loop import Progress
from cryoprior.training.maps.loop import MapTrainingChoices
from cryoprior.training.maps.setup import MapData, MapSetup, prepare_maps
from cryoprior.training.trained import IN_MEMORY

MAKES = (
    *("model.safetensors", "config.json", "checkpoint.safetensors", "curve.csv"),
    *("provenance.json", "summary.json"),
)
"""The names of all that training writes."""

logger = logging.getLogger("cryoprior")


def train_map(
    models: Sequence[str | Path] = (),
    half1: Sequence[str | Path] = (),
    half2: Sequence[str | Path] = (),
    *,
    finest: float = 1.5,
    coarsest: float = 6.0,
    versions: int = 6,
    steps: int = 4000,
    batch: int = 4,
    patch: int = 40,
    channels: tuple[int, int, int] = (40, 64, 96),
    learning_rate: float = 1e-3,
    precision: str = "no",
    validation: float = 0.05,
    every: int = 250,
    description: str = "",
    seed: int = 0,
    device: str = "auto",
    output: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> MapPrior:
    """Return a prior of maps that was trained on atomic models and maps, or on half maps without truth.

    It is the engine of ``cryoprior train-map``, and equal to it bit for bit.

    Parameters
    ----------
    models: files of atomic models, or of maps without noise; none with half maps.
    half1, half2: files of half maps, pair by pair.
    finest, coarsest: least and largest voxel size in angstrom; those of half maps are their own.
    versions: orientations and voxel sizes of each model.
    steps: of the optimiser, ``batch`` patches of ``patch`` voxels a side each.
    channels: of the network's three levels.
    learning_rate: the peak. precision: of the network in training, ``no`` or ``bf16``.
    validation: share of the models that is held out.
    every: steps between validations and checkpoints.
    description: what the prior says of itself, in words.
    seed: of orientations, patches and noise.
    device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
    output: a folder to write the prior and its checkpoints to; nothing is written without one.
    resume: go on with the run in ``output``. overwrite: replace what ``output`` holds.

    Raises
    ------
    InputError: no files, or files that cannot be read; choices that contradict each other; an output in use.
    """
    if output is None and (resume or overwrite):
        name = "resume" if resume else "overwrite"
        raise InputError(f"<{name}> without <output>: there is no folder to go on with or to replace; pass it")
    if bool(models) == bool(half1 or half2):
        raise InputError("<models> or <half1> and <half2>: pass one of them: models and maps, or half maps")
    if not 0 < finest <= coarsest:
        raise InputError(f"<finest> {finest:g} and <coarsest> {coarsest:g}: expected angstrom above 0, in this order")
    setup = prepare_maps(
        MapData(*(tuple(Path(path) for path in paths) for paths in (models, half1, half2))),
        MapTrainingChoices(
            steps=steps, batch=batch, patch=patch, learning_rate=learning_rate, precision=precision, seed=seed
        ),
        MapNetworkConfig(channels=channels),
        (finest, coarsest),
        versions=versions,
        validation=validation,
        description=description,
        device=device,
    )
    if output is None:
        curve: list[Progress] = []
        _train(setup, every, None, curve)
        return trained_map_prior(setup, curve, IN_MEMORY)
    record = {"models": models, "half1": half1, "half2": half2, "seed": seed, "steps": steps, "every": every}
    return train_map_into(Path(output), setup, every, record, resume=resume, overwrite=overwrite)[0]


def train_map_into(
    folder: Path,
    setup: MapSetup,
    every: int,
    options: Any,
    *,
    half: bool = False,
    resume: bool = False,
    overwrite: bool = False,
) -> tuple[MapPrior, dict[str, Any]]:
    """Return a trained map prior and its summary; the folder holds checkpoints first, and the prior at the end.

    A run that is told to stop leaves a checkpoint, from which it goes on as if it had never stopped.

    Parameters
    ----------
    every: steps between validations and checkpoints. options: what provenance.json records.
    half: write the weights as float16. resume: go on with the run in the folder. overwrite: replace what it holds.

    Raises
    ------
    InputError: the folder is in use, or holds another run than the one to go on with.
    """
    training = setup.training
    claim = resume_output(
        folder,
        "train-map",
        setup.identity,
        makes=MAKES,
        overwrite=overwrite,
        inputs=setup.data.files,
        reopen=resume,
    )
    with claim as work:
        if resume and not has_checkpoint(work.folder):
            raise InputError(f"{folder}: no checkpoint; nothing to resume; drop <resume>")
        if not resume and not work.is_new and not overwrite:
            raise InputError(f"{folder}: holds an unfinished run; pass <resume>, <overwrite> or another <output>")
        curve = load_checkpoint(work.folder, training) if has_checkpoint(work.folder) else []
        _train(setup, every, work.folder, curve)
        prior = trained_map_prior(setup, curve, folder)
        save_map_prior(work.folder, prior.network, prior.config, half=half)
        summary = _summary(setup, prior.config, curve)
        write_provenance(work.folder, "train-map", options, setup.data.files, training.choices.seed)
        write_summary(work.folder, {**summary, "output": str(folder)})
        work.complete()
    return prior, summary


def _train(setup: MapSetup, every: int, folder: Path | None, curve: list[Progress]) -> None:
    """Run the training to its end; the curve grows with every validation, and a checkpoint is written to a folder."""
    training = setup.training

    def keep() -> None:
        if folder is not None:
            save_checkpoint(folder, training, curve)
            write_curve(folder, curve)

    def report(line: Progress) -> None:
        curve.append(line)
        keep()
        logger.info("step %d: loss %.4f, validation %.4f", line.step, line.train_loss, line.validation_loss)

    with deferred() as stop:  # a step is taken whole
        for _ in track(training.run(every, report), "training", training.steps - training.step):
            if stop.requested:
                keep()
                stop.interrupt()


def trained_map_prior(setup: MapSetup, curve: list[Progress], path: Path) -> MapPrior:
    """Return the map prior of the averaged weights."""
    loss = curve[-1].validation_loss if curve else None
    config = dataclasses.replace(setup.config, steps=setup.training.step, validation_loss=loss)
    return MapPrior(setup.training.averaged(), config, path)


def _summary(setup: MapSetup, config: MapPriorConfig, curve: list[Progress]) -> dict[str, Any]:
    return {
        "steps": config.steps,
        "patches": setup.training.images,
        "seconds": setup.training.seconds,
        "validation_loss": config.validation_loss,
        "wiener_loss": curve[-1].correlation["wiener"] if curve else None,
        "parameters": setup.parameters,
        "files": len(config.trained_on),
        "held_out": list(setup.validation),
        "voxel_size_angstrom": list(config.voxel_size_angstrom),
    }
