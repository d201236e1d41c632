"""The rigid motion that brings one set of points nearest to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

MINIMUM_POINTS = 3


@dataclass(frozen=True)
class Superposition:
    """The motion ``points @ rotation.T + shift`` and the RMSD that is left, in the unit of the points."""

    rotation: Float64[np.ndarray, "3 3"]
    shift: Float64[np.ndarray, " 3"]
    rmsd: float

    def apply(self, points: Float64[np.ndarray, "... 3"]) -> Float64[np.ndarray, "... 3"]:
        """Return the points after the motion."""
        after: Float64[np.ndarray, "... 3"] = points @ self.rotation.T + self.shift
        return after


def superpose(moving: Float64[np.ndarray, "n 3"], fixed: Float64[np.ndarray, "n 3"]) -> Superposition | None:
    """Return the proper rotation and shift of least RMSD between paired points; None for fewer than three pairs.

    Source: Kabsch 1978, with the sign of the last singular vector chosen so that a mirror image stays one.
    """
    if len(moving) < MINIMUM_POINTS:
        return None
    centres = moving.mean(0), fixed.mean(0)
    a, b = moving - centres[0], fixed - centres[1]
    u, _, vt = np.linalg.svd(a.T @ b)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign @ vt).T
    left = a @ rotation.T - b
    return Superposition(rotation, centres[1] - rotation @ centres[0], float(np.sqrt(np.square(left).sum(1).mean())))
