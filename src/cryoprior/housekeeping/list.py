"""``cryoprior list``: what can be named on the command line, from the registries."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

EXAMPLE = "cryoprior list"


@dataclass(frozen=True)
class Options:
    """No options."""


def run(options: Options) -> dict[str, Any]:
    """Return name and description of every component of every kind, those of other packages last."""
    from cryoprior.commands import COMMANDS
    from cryoprior.housekeeping.sources import built_in_components
    from cryoprior.registry import HOMES
    from cryoprior.training.presets import PRESETS

    listed = {
        f"{kind}s": built_in_components(home) | outside_components(kind)
        for kind, home in HOMES.items()
        if kind != "command"
    }
    return {
        **listed,
        "presets": {name: _values(preset) for name, preset in PRESETS.items()},
        "commands": {name: command.help for name, command in COMMANDS.items()},
    }


def outside_components(kind: str) -> dict[str, str]:
    """Return the components of a kind that other packages offer; they alone are imported for it."""
    if not entry_points(group=f"cryoprior.{kind}s"):
        return {}
    from cryoprior.housekeeping.outside import described_outside

    return described_outside(kind)


def _values(record: Any) -> str:
    """Return the fields of a dataclass with their values, in a line."""
    return ", ".join(f"{field.name}={getattr(record, field.name)}" for field in dataclasses.fields(record))
