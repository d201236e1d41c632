"""``cryoprior validate``: what a path holds, and everything that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.options import ParticleFiles, argument, check_options

EXAMPLE = "cryoprior validate particles.star"


@dataclass(frozen=True)
class Options(ParticleFiles):
    path: Path = argument(
        "Particles, measurements (.zarr), the folder of a prior, of a map prior or of a reconstruction."
    )

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    """Return what the path holds; InputError with all that is wrong with it."""
    from cryoprior.housekeeping.checks import CHECKS, kind_of

    kind = kind_of(options.path)
    summary, findings = CHECKS[kind](options.path, options.companions)
    if findings:
        listed = "".join(f"\n  - {finding}" for finding in findings)
        raise InputError(f"{options.path}: {kind} with {len(findings)} finding(s):{listed}")
    return {"path": str(options.path), "kind": kind, "valid": True, **summary}
