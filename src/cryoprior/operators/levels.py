"""The levels to which a number that is normally distributed is rounded with the least error, and what rounding does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

MOST_BITS = 8
STEPS, CLOSE = 60, 1e-13


@dataclass(frozen=True)
class NormalLevels:
    """2^bits levels for a standard normal variable, in its deviations.

    thresholds: between neighbouring levels, ascending, (2^bits - 1,).
    centroids: the mean of the variable within each cell, (2^bits,).

    Rounded to the centroids it is gain * y + e with e uncorrelated with y and of variance gain (1 - gain) (Bussgang
    1952). Rounded to ``levels``, the centroids over the gain, it is y + e: of unit gain, with noise of variance
    (1 - gain) / gain, which is what a linear solver wants of a measurement.
    """

    thresholds: Float[np.ndarray, " cells_1"]
    centroids: Float[np.ndarray, " cells"]

    @property
    def gain(self) -> float:
        """Return the Bussgang gain, the variance of the centroids."""
        return float((self.probabilities * self.centroids**2).sum())

    @property
    def levels(self) -> Float[np.ndarray, " cells"]:
        """Return the levels of unit gain, (2^bits,)."""
        levels: Float[np.ndarray, " cells"] = self.centroids / self.gain
        return levels

    @property
    def noise(self) -> float:
        """Return the deviation of the noise that unit gain leaves."""
        return float(np.sqrt((1 - self.gain) / self.gain))

    @property
    def probabilities(self) -> Float[np.ndarray, " cells"]:
        """Return how probable each cell is, (2^bits,)."""
        from scipy.special import ndtr

        cut = np.concatenate([[-np.inf], self.thresholds, [np.inf]])
        probable: Float[np.ndarray, " cells"] = np.diff(ndtr(cut))
        return probable


@lru_cache(maxsize=MOST_BITS)
def lloyd_max(bits: int) -> NormalLevels:
    """Return the 2^bits levels of least mean square error for a standard normal variable.

    Each level is the mean of its cell, each threshold the middle of two levels; Newton's method solves for the positive
    half.

    Source: J. Max, IRE Trans. Inf. Theory 6 (1960) 7; S. P. Lloyd, IEEE Trans. Inf. Theory 28 (1982) 129.
    """
    from scipy.special import ndtri

    half = 1 << (bits - 1)
    level = np.sqrt(3) * ndtri(0.5 + (np.arange(half) + 0.5) / (2 * half))  # cells of high-rate theory
    for _ in range(STEPS):
        centroid, slope = _centroids(level)
        step = np.linalg.solve(np.eye(half) - slope, centroid - level)
        level = level + step
        if np.abs(step).max() < CLOSE:
            break
    middle = (level[1:] + level[:-1]) / 2
    return NormalLevels(np.concatenate([-middle[::-1], [0.0], middle]), np.concatenate([-level[::-1], level]))


def _centroids(level: Float[np.ndarray, " half"]) -> tuple[Float[np.ndarray, " half"], Float[np.ndarray, "half half"]]:
    """Return the means of the cells of positive levels, and their derivatives by the levels."""
    from scipy.special import ndtr

    low = np.concatenate([[0.0], (level[1:] + level[:-1]) / 2])
    high = np.append(low[1:], np.inf)
    density = [np.exp(-(edge**2) / 2) / np.sqrt(2 * np.pi) for edge in (low, high)]
    probable = ndtr(-low) - ndtr(-high)
    centroid = (density[0] - density[1]) / probable
    by_low, by_high = density[0] * (centroid - low) / probable, np.zeros(len(level))
    by_high[:-1] = density[1][:-1] * (high - centroid)[:-1] / probable[:-1]
    by_low[0] = 0.0  # the threshold at 0 stays
    slope = np.diag((by_low + by_high) / 2)
    slope += np.diag(by_low[1:] / 2, -1) + np.diag(by_high[:-1] / 2, 1)
    return centroid, slope
