"""Maps that are numerically one: they are listed once, and the page says in words which the others are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.maps.judgement import NamedMaps
from cryoprior.maps.map_set import MapSet

ROUNDING = 2e-3
"""Root mean square of a difference, over that of the map, below which two maps are one: the solver leaves less."""


def distinct_maps(named: Sequence[NamedMaps]) -> tuple[list[int], dict[str, str]]:
    """Return the places of maps that no earlier one equals, and the name of every other with that of its equal."""
    kept: list[int] = []
    equals: dict[str, str] = {}
    for place, one in enumerate(named):
        equal = next((named[i] for i in kept if same_maps(named[i].maps, one.maps)), None)
        if equal is None:
            kept.append(place)
        else:
            equals[one.name] = equal.name
    return kept, equals


def same_maps(a: MapSet, b: MapSet) -> bool:
    """Return whether map and half maps of as many particles differ by rounding and what the solver leaves."""
    if (a.n_half_1, a.n_half_2, a.box) != (b.n_half_1, b.n_half_2, b.box):
        return False
    return all(_close(getattr(a, name), getattr(b, name)) for name in ("full", "half_1", "half_2"))


def sameness(equals: dict[str, str]) -> list[str]:
    """Return a sentence for every map that is not listed."""
    return [f"“{name}” is the same map as “{equal}” and is listed once." for name, equal in equals.items()]


def _close(a: Float[Tensor, "d d d"], b: Float[Tensor, "d d d"]) -> bool:
    return bool(torch.linalg.vector_norm((a - b).double()) <= ROUNDING * torch.linalg.vector_norm(a.double()))
