"""Particle formats: one reader a file, and the registry of them by extension. A new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryoprior.io.formats.columns import Companions, Metadata
from cryoprior.io.formats.cryodrgn import read_stack
from cryoprior.io.formats.cryosparc import read_cryosparc
from cryoprior.io.formats.relion import read_relion

FORMATS: dict[str, Callable[[Path, Companions], Metadata]] = {
    ".star": read_relion,
    ".cs": read_cryosparc,
    ".mrcs": read_stack,
    ".mrc": read_stack,
    ".txt": read_stack,
}
"""Readers by file extension."""

__all__ = ["FORMATS", "Companions", "Metadata", "read_cryosparc", "read_relion", "read_stack"]
