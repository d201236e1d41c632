"""``cryoprior toy-count``: how many particles a file holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.options import argument, check_options, option


@dataclass(frozen=True)
class Options:
    particles: Path = argument("Particles of any format.")
    dozen: bool = option("Count in dozens.", False)

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    """Return the count."""
    from cryoprior.io import read_particles

    n = len(read_particles(options.particles))
    return {"n": n / 12 if options.dozen else n}
