"""Foreign programs, one module each: write its input, run it, read its output. A new one is one line in PROGRAMS."""

from __future__ import annotations

from cryoprior.external.cryodrgn import CRYODRGN
from cryoprior.external.modelangelo import MODELANGELO
from cryoprior.external.program import Program
from cryoprior.external.relion import RELION

PROGRAMS: dict[str, Program] = {
    "relion": RELION,
    "cryodrgn": CRYODRGN,
    "modelangelo": MODELANGELO,
}

__all__ = ["CRYODRGN", "MODELANGELO", "PROGRAMS", "RELION", "Program"]
