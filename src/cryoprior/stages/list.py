"""``cryoprior list``: what can be named on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Options:
    """No options."""


def run(options: Options) -> dict[str, Any]:
    return {}
