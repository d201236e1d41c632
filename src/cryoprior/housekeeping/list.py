"""``cryoprior list``: what can be named on the command line, from the registries."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EXAMPLE = "cryoprior list"


@dataclass(frozen=True)
class Options:
    """No options."""


def run(options: Options) -> dict[str, Any]:
    from cryoprior.commands import COMMANDS
    from cryoprior.io import FORMATS
    from cryoprior.metrics import METRICS
    from cryoprior.operators import OPERATORS
    from cryoprior.solvers import SOLVERS
    from cryoprior.training.presets import PRESETS

    registries: dict[str, Mapping[str, Any]] = {
        "operators": OPERATORS,
        "solvers": SOLVERS,
        "metrics": {name: metric.description for name, metric in METRICS.items()},
        "formats": FORMATS,
        "presets": PRESETS,
    }
    listed = {kind: {name: _describe(item) for name, item in found.items()} for kind, found in registries.items()}
    return {**listed, "commands": {name: command.help for name, command in COMMANDS.items()}}


def _describe(item: Any) -> str:
    """Return the first line of what the item says of itself, and the fields that its text may give."""
    if isinstance(item, str):
        return item
    line = (inspect.getdoc(item if callable(item) else type(item)) or "").split("\n")[0]
    if dataclasses.is_dataclass(item):
        fields = ", ".join(_field(f, item) for f in dataclasses.fields(item) if f.init)
        return f"{line} [{fields}]" if fields else line
    return line


def _field(field: dataclasses.Field[Any], item: Any) -> str:
    value = field.default if isinstance(item, type) else getattr(item, field.name)
    return field.name if value is dataclasses.MISSING else f"{field.name}={value}"
