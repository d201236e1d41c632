"""``cryoprior train-map``: a prior of maps, learned from atomic models, from maps, or from half maps without truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

EXAMPLE = "cryoprior train-map models/*.pdb.gz -o prior3d/"
NEXT = "cryoprior audit --half1 half1.mrc --half2 half2.mrc --map-prior {output} -o audit/"


@dataclass(frozen=True)
class Options(Computing):
    """What to train on, and how."""

    output: Path = output_option("Folder of the prior.")
    models: tuple[Path, ...] = argument(
        "Atomic models (.pdb, .cif, also .gz) or maps (.mrc) without noise; none with --half1.", (), many=True
    )
    half1: tuple[Path, ...] = option(
        "Half map to learn from without truth; may be repeated.", (), repeat=True, group=INPUT
    )
    half2: tuple[Path, ...] = option("The other half of each, in order.", (), repeat=True, group=INPUT)
    finest: float = option("Least voxel size in angstrom.", 1.5, minimum=0.5, maximum=20)
    coarsest: float = option("Largest voxel size in angstrom.", 6.0, minimum=0.5, maximum=20)
    versions: int = option("Orientations and voxel sizes of each model.", 6, minimum=1)
    steps: int = option("Optimiser steps.", 4000, minimum=1)
    batch: int = option("Patches in a step.", 4, minimum=1)
    patch: int = option("Voxels a side of a patch, a multiple of 8.", 40, minimum=16, maximum=256)
    channels: str = option("Channels of the network's three levels.", "40,64,96")
    learning_rate: float = option("Peak learning rate.", 1e-3, minimum=0)
    precision: str = option("Precision of the network in training.", "no", choices=("no", "bf16"), group=COMPUTING)
    validation: float = option("Share of the models that is held out.", 0.05, minimum=0.0, maximum=0.9)
    every: int = option("Steps between validations and checkpoints.", 250, minimum=1)
    description: str = option("A sentence about the training set, kept with the prior.", "", group=OUTPUT)
    half: bool = option("Write the weights as float16.", False, group=OUTPUT)
    resume: bool = option("Go on with the run in the output folder.", False, group=OUTPUT)
    seed: int = option("Seed of orientations, patches and noise.", 0, minimum=0)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        check_options(self)
        if bool(self.models) == bool(self.half1 or self.half2):
            raise InputError("<MODELS> or <half1> and <half2>: pass one of them: models and maps, or half maps")
        if len(self.half1) != len(self.half2):
            raise InputError(f"<half1> {len(self.half1)} maps, <half2> {len(self.half2)}; expected pairs, in order")
        if self.finest > self.coarsest:
            raise InputError(f"<finest> {self.finest:g} is above <coarsest> {self.coarsest:g}; exchange them")
        _channels(self.channels)


def run(options: Options) -> dict[str, Any]:
    """Return the summary of a training run that wrote a map prior: weights, configuration and curve."""
    from cryoprior.devices import limit_threads
    from cryoprior.prior.volume.network import MapNetworkConfig
    from cryoprior.training.maps.engine import train_map_into
    from cryoprior.training.maps.loop import MapTrainingChoices
    from cryoprior.training.maps.setup import MapData, prepare_maps
    from cryoprior.training.place import check_free

    limit_threads(options.threads)
    check_free(options.output, resume=options.resume, overwrite=options.overwrite)
    names = ("steps", "batch", "patch", "learning_rate", "precision", "seed")
    setup = prepare_maps(
        MapData(options.models, options.half1, options.half2),
        MapTrainingChoices(**{name: getattr(options, name) for name in names}),
        MapNetworkConfig(channels=_channels(options.channels)),
        (options.finest, options.coarsest),
        versions=options.versions,
        validation=options.validation,
        description=options.description,
        device=options.device,
    )
    _, summary = train_map_into(
        options.output,
        setup,
        options.every,
        options,
        half=options.half,
        resume=options.resume,
        overwrite=options.overwrite,
    )
    return {**summary, "output": str(options.output)}


def _channels(text: str) -> tuple[int, int, int]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"<channels> {text!r}: expected three whole numbers such as 40,64,96")
    first, second, third = map(int, parts)
    return first, second, third
