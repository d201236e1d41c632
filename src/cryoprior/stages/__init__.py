"""The commands: ``name`` is the module ``cryoprior.stages.name`` with its ``Options`` and its ``run``."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

COMMANDS: dict[str, str] = {
    "list": "List the operators, solvers, metrics, file formats and presets.",
    "doctor": "Show what is installed, what is missing and how to get it.",
}


def load_stage(command: str) -> ModuleType:
    """Return the stage's module; only this command's dependencies are imported."""
    return import_module(f"cryoprior.stages.{command.replace('-', '_')}")
