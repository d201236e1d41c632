"""Damaged map priors: configuration and weights."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

from fuzz.cases import Changes, Right, on
from fuzz.damage.bytes import cuts, doubled_blocks, strangers, turned_bits
from fuzz.damage.prior import NOT_THERE, setting

REFUSE, OPEN = Right.REFUSE, Right.OPEN
HUGE = 10**6
WRONG: dict[str, tuple[Any, ...]] = {
    "kind": ("image", None, 5, NOT_THERE),
    "format": (99, "1", None),
    "network": (
        *({}, [], None, {"channels": [8, 8], "patch": 2, "condition": 8}, {"channels": [HUGE] * 3}, {"patch": 0}),
        *({"channels": [8, 8, 8], "patch": HUGE, "condition": 8}, {"channels": "abc"}, NOT_THERE),
    ),
    "spectrum": (
        *({}, None, [1], NOT_THERE, {"highest": 0.3, "log_power": [1.0]}, {"highest": -1, "log_power": [1.0, 2.0]}),
        *({"highest": 0.3, "log_power": [math.nan, 1.0]}, {"highest": "a", "log_power": [1.0, 2.0]}),
    ),
    "voxel_size_angstrom": ([6.0, 1.5], [0, 3], [1.5], None, "wide", [1.5, math.inf], NOT_THERE),
    "trained_on": ([1], 5),
    "unknown": (1,),
}


def map_prior(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of a map prior's folder; its configuration is not sealed, so that a turned digit is not seen."""
    for name, right in (("config.json", OPEN), ("model.safetensors", REFUSE)):
        yield from on(lambda path, name=name: path / name, cuts(last=right), name)
        yield from on(lambda path, name=name: path / name, strangers(rng), name)
        yield from on(lambda path, name=name: path / name, turned_bits(rng, extra, right), name)
    yield from on(lambda path: path / "model.safetensors", doubled_blocks(rng, extra // 2, REFUSE), "model.safetensors")
    for name, values in WRONG.items():
        for value in values:
            shown = "left out" if value is NOT_THERE else repr(value)
            yield f"config {name} {shown}", REFUSE, setting(name, lambda _, value=value: value)
