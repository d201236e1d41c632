"""Particle formats: one reader a file, and the registry of them by extension. A new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryoprior.io.formats.columns import Companions, Metadata
from cryoprior.io.formats.cryodrgn import read_stack
from cryoprior.io.formats.cryosparc import read_cryosparc
from cryoprior.io.formats.relion import read_relion
from cryoprior.registry import Registry

Reader = Callable[[Path, Companions], Metadata]


def fault_of_format(name: str, item: Any) -> str:
    """Return in words what keeps an object from reading files of that extension; empty where nothing does."""
    if not name.startswith(".") or name != name.lower():
        return f"expected an extension in small letters with its point, such as {'.' + name.lstrip('.').lower()!r}"
    return "" if callable(item) else f"found {type(item).__name__}; expected a function of a path and Companions"


FORMATS: Registry[Reader] = Registry(
    "format",
    {
        ".star": read_relion,
        ".cs": read_cryosparc,
        ".mrcs": read_stack,
        ".mrc": read_stack,
        ".txt": read_stack,
    },
    fault_of_format,
)
"""Readers by file extension."""

__all__ = ["FORMATS", "Companions", "Metadata", "Reader", "read_cryosparc", "read_relion", "read_stack"]
