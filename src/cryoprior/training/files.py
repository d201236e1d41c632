"""The files of a trained prior: weights, configuration, split, curve and pictures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryoprior.output.files import write_whole
from cryoprior.output.folder import claim_output
from cryoprior.output.record import write_provenance, write_summary
from cryoprior.prior.checkpoint import save_prior
from cryoprior.training.loop import Progress
from cryoprior.training.measured import TrainingMeasurements
from cryoprior.training.trained import TrainedPrior

MAKES = (
    *(
        "model.safetensors",
        "config.json",
        "particles.safetensors",
        "checkpoint.safetensors",
        "checkpoint.json",
        "curve.csv",
        "split.json",
    ),
    *("samples-*.png", "denoised-*.png", "means-*.png", "provenance.json", "summary.json"),
)
"""The names of all that training writes."""
CURVE = ("step", "images", "seconds", "train_loss", "validation_loss", "correlation")


def save_trained(trained: TrainedPrior, folder: Path, *, half: bool, overwrite: bool) -> None:
    """Write a prior that was trained in memory into a folder of its own."""
    with claim_output(folder, "train", overwrite=overwrite) as partial:
        write_curve(partial, trained.curve)
        write_trained(partial, trained, folder, {"half": half}, half=half)


def write_trained(folder: Path, trained: TrainedPrior, output: Path, options: Any, *, half: bool) -> None:
    """Write all files of a prior into the folder, the summary last; its curve was written during the training.

    Parameters
    ----------
    output: the folder's name when it is whole.
    options: the options that provenance.json records.
    """
    from cryoprior.training.pictures import draw_measured_pictures, draw_pictures

    setup = trained.setup
    write_whole(folder / "split.json", json.dumps(trained.split) + "\n")
    save_prior(folder, trained.network, trained.config, half=half, particles=trained.particles)
    for group in setup.groups:
        if isinstance(group, TrainingMeasurements):
            draw_measured_pictures(folder, trained.denoiser, group)
        else:
            draw_pictures(folder, trained.denoiser, group, setup.seed)
    write_provenance(folder, "train", options, setup.data.paths, setup.seed)
    write_summary(folder, trained.summary | {"output": str(output)})


def write_curve(folder: Path, curve: Sequence[Progress]) -> None:
    """Write ``curve.csv``: one line per validation."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(CURVE)
    for line in curve:
        numbers = [f"{line.seconds:.1f}", f"{line.train_loss:.5f}", f"{line.validation_loss:.5f}"]
        writer.writerow([line.step, line.images, *numbers, json.dumps(line.correlation)])
    write_whole(folder / "curve.csv", text.getvalue())
