"""The commands: ``name`` is the module ``cryoprior.stages.name`` with its ``Options`` and its ``run``.

A command of two words, ``model build``, is the module ``model_build`` in the group ``model``.
"""

from __future__ import annotations

import re
from importlib import import_module
from types import ModuleType

COMMANDS: dict[str, str] = {
    "simulate": "Simulate particles from atomic models or maps: pose, shift, CTF, coloured noise, several states.",
    "convert": "Write particles of any format as a RELION star file and one stack, resampled and split if wanted.",
    "measure": "Measure a particle stack with an operator: a few numbers for each image.",
    "train": "Train a prior on particles.",
    "reconstruct": "Reconstruct the images from their measurements.",
    "evaluate": "Compare reconstructed images with the originals, beside their floors, in one report.",
    "map": "Make maps of particles, reconstructions or measurements with known poses, and judge their resolution.",
    "compare-maps": "Compare two maps: Fourier shell correlation, correlation, contrast and hand.",
    "poses": "Find the poses of particles with RELION against a fixed map, and compare them with known ones.",
    "heterogeneity": "Compare the conformational states in original and reconstructed particles, by cryoDRGN.",
    "model build": "Build an atomic model into a map with ModelAngelo.",
    "model score": "Compare two atomic models: confidence, chains, sequences, backbones, what one has of the other.",
    "bench": "Compare methods in one resumable run: tables, curves and pictures.",
    "operating-point": "Show how little may be measured for a score, from the rows of a benchmark.",
    "demo": "Run the whole path on a small simulated stack with the embedded prior.",
    "describe": "Show what measurements or an operator hold: compression, rank, conditioning.",
    "validate": "Check particles, measurements, a prior or a reconstruction, and say what is wrong.",
    "doctor": "Show what is installed, what is missing and how to get it.",
    "list": "List the operators, solvers, metrics, file formats and presets.",
}

GROUPS: dict[str, str] = {"model": "Build atomic models into maps, and compare them."}
"""What the first word of commands of two words stands for."""


def load_stage(command: str) -> ModuleType:
    """Return the stage's module; only this command's dependencies are imported."""
    return import_module(f"cryoprior.stages.{re.sub('[- ]', '_', command)}")
