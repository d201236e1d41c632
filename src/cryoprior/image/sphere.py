"""Directions spread evenly over half of the unit sphere, each standing for itself and its opposite."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def half_sphere(n: int) -> Float[Tensor, "n 3"]:
    """Return n unit vectors xyz with z above 0, each at the centre of an equal area, (n, 3) float64.

    Source: the Fibonacci lattice; Gonzalez, Math. Geosci. 42 (2010) 49.
    """
    place = torch.arange(n, dtype=torch.float64)
    z, turn = 1 - (place + 0.5) / n, place * GOLDEN_ANGLE
    radius = (1 - z.square()).sqrt()
    return torch.stack((radius * turn.cos(), radius * turn.sin(), z), 1)
