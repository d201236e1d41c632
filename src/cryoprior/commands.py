"""The registry of commands: name, module with ``Options`` and ``run``, and one line of help.

A new command is one file and one line here. A command of two words, ``model build``, stands in the group ``model``.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from cryoprior.errors import InputError
from cryoprior.registry import Registry


class Command(NamedTuple):
    """A command's module with ``Options`` and ``run``, and what it does in one line.

    module: its full name; one that starts with a point lies in this package.
    """

    module: str
    help: str


_BUILT_IN = {
    "simulate": Command(
        ".simulation.command",
        "Simulate particles from atomic models or maps: pose, shift, CTF, coloured noise, several states.",
    ),
    "convert": Command(
        ".housekeeping.convert",
        "Write particles of any format as a RELION star file and one stack, resampled and split if wanted.",
    ),
    "measure": Command(".measurement.command", "Measure a particle stack with an operator: a few numbers per image."),
    "train": Command(".training.command", "Train a prior on particles."),
    "train-map": Command(".training.maps.command", "Train a prior of maps, on atomic models, maps or half maps."),
    "reconstruct": Command(".reconstruction.command", "Reconstruct the images from their measurements."),
    "denoise": Command(
        ".reconstruction.denoise_command",
        "Show the signal of recorded particles without their noise, and how sure it is.",
    ),
    "evaluate": Command(
        ".evaluation.command",
        "Compare reconstructed images with the originals, beside their floors, in one report.",
    ),
    "map": Command(
        ".maps.command",
        "Make maps of particles, reconstructions or measurements with known poses, and judge their resolution.",
    ),
    "compare-maps": Command(
        ".maps.compare_command", "Compare two maps: Fourier shell correlation, correlation, contrast and hand."
    ),
    "audit": Command(
        ".audit.command",
        "Judge what a prior added to half maps, by the half that it did not see: any program's, or particles'.",
    ),
    "plan": Command(
        ".planning.command",
        "Plan what to keep of particles: masks, bits and formats by bytes and by the resolution to expect.",
    ),
    "external-reconstruct": Command(
        ".refinement.command",
        "Reconstruct for RELION inside its refinement, with a prior of maps: relion_refine --external_reconstruct.",
    ),
    "poses": Command(
        ".poses.command",
        "Find the poses of particles with RELION against a fixed map, and compare them with known ones.",
    ),
    "heterogeneity": Command(
        ".heterogeneity.command",
        "Compare the conformational states in original and reconstructed particles, by cryoDRGN.",
    ),
    "model build": Command(".models.build_command", "Build an atomic model into a map with ModelAngelo."),
    "model score": Command(
        ".models.score_command",
        "Compare two atomic models: confidence, chains, sequences, backbones, what one has of the other.",
    ),
    "bench": Command(".benchmark.command", "Compare methods in one resumable run: tables, curves and pictures."),
    "operating-point": Command(
        ".benchmark.operating_point_command",
        "Show how little may be measured for a score, from the rows of a benchmark.",
    ),
    "demo": Command(".demo.command", "Run the whole path on a small simulated stack with the embedded prior."),
    "describe": Command(
        ".housekeeping.describe",
        "Show what measurements or an operator hold: compression, rank, conditioning; or what a map prior is.",
    ),
    "validate": Command(
        ".housekeeping.validate",
        "Check particles, measurements, a prior or a reconstruction, and say what is wrong.",
    ),
    "status": Command(
        ".housekeeping.status", "Say how far a run is that other processes or a queue work on, and how long it takes."
    ),
    "doctor": Command(".housekeeping.doctor", "Show what is installed, what is missing and how to get it."),
    "list": Command(".housekeeping.list", "List the operators, solvers, metrics, file formats and presets."),
}

GROUPS: dict[str, str] = {"model": "Build atomic models into maps, and compare them."}
"""What the first word of commands of two words stands for."""


def fault_of_command(name: str, item: Any) -> str:
    """Return in words what keeps an object from being the command of that name; empty where nothing does."""
    group, _, word = name.rpartition(" ")
    if not word or word.startswith("-") or (group and group not in GROUPS):
        return f"expected one word, or two of which the first is one of {', '.join(GROUPS)}"
    return "" if isinstance(item, Command) else f"found {type(item).__name__}; expected a cryoprior.commands.Command"


COMMANDS: Registry[Command] = Registry("command", _BUILT_IN, fault_of_command)


def load_command(name: str) -> ModuleType:
    """Return the command's module; only this command's dependencies are imported.

    Raises
    ------
    InputError: the command is another package's, and cannot be imported or lacks ``Options`` or ``run``.
    """
    module = COMMANDS[name].module
    if name in COMMANDS.built_in:
        return import_module(module, __package__)
    try:
        loaded = import_module(module)
        loaded.Options, loaded.run  # noqa: B018  # what a command is made of
    except Exception as error:  # whatever another package does wrong is its own
        reason = " ".join(str(error).split())
        raise InputError(
            f"command {name!r}: {module} cannot be used: {type(error).__name__}: {reason}; mend or remove its package"
        ) from error
    return loaded
