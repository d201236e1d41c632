"""What components of other packages say of themselves."""

from __future__ import annotations

import dataclasses
import inspect
from importlib import import_module
from typing import Any

from cryoprior.registry import HOMES, Registry


def described_outside(kind: str) -> dict[str, str]:
    """Return name and description of what is not built in, as far as it loads."""
    module, _, name = HOMES[kind].partition(":")
    registry: Registry[Any] = getattr(import_module(module), name)
    return {name: described(registry[name]) for name in registry if name not in registry.built_in}


def described(item: Any) -> str:
    """Return the first line of what a component says of itself, and the fields that its text may give."""
    if isinstance(getattr(item, "description", None), str):
        return str(item.description)
    line = (inspect.getdoc(item) or "").split("\n")[0]
    if not dataclasses.is_dataclass(item):
        return line
    fields = [
        field.name if field.default is dataclasses.MISSING else f"{field.name}={field.default}"
        for field in dataclasses.fields(item)
        if field.init
    ]
    return f"{line} [{', '.join(fields)}]" if fields else line
