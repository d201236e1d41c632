"""Resolution against the number of particles: the B-factor that it shows, and how many particles replace how many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cryoprior.errors import InputError

SMALLEST_FIT = 3
"""Points of the smallest fit: two have a line through them whatever they are, and no error."""


@dataclass(frozen=True)
class BFactorFit:
    """The line 1 / d^2 = intercept + slope ln N through measured points, and the B-factor 2 / slope, angstrom^2.

    ``error`` is the standard error of the B-factor from the scatter of the points about the line.
    """

    b_factor: float
    error: float
    intercept: float
    slope: float
    points: int

    def inverse_square(self, n: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
        """Return 1 / d^2 of the line at n particles, in 1 / angstrom^2."""
        line: np.ndarray = self.intercept + self.slope * np.log(n)
        return line


@dataclass(frozen=True)
class Exchange:
    """How many particles of a reference one particle is worth: ``ratio``, at the same resolution.

    ratio: the geometric mean over the resolutions at which both curves were read.
    low, high: the least and the most at any of them.
    resolutions: how many these were.
    """

    ratio: float
    low: float
    high: float
    resolutions: int


def fit_b_factor(n: Float[np.ndarray, " p"], resolution_angstrom: Float[np.ndarray, " p"]) -> BFactorFit:
    """Return the B-factor of resolutions d reached with N particles: ln N = constant + B / (2 d^2).

    The number of particles is known and the resolution is measured, so 1 / d^2 is fitted on ln N by least squares.

    Parameters
    ----------
    n: particles of every map, above 0, in any order.
    resolution_angstrom: what they reach.

    Source: Rosenthal and Henderson, J. Mol. Biol. 333 (2003) 721. Their number of particles also falls as 1 / d before
    the exponential; that factor is left out here, as in the usual plot, and B comes out larger by about d^2.

    Raises
    ------
    InputError: fewer than three points, one number of particles only, a resolution that does not get better with more.
    """
    if len(n) < SMALLEST_FIT or len(set(n.tolist())) < SMALLEST_FIT:
        raise InputError(
            f"resolution against particles: {len(n)} usable points of {len(set(n.tolist()))} numbers of particles; "
            f"expected at least {SMALLEST_FIT}; take more particles"
        )
    x, y = np.log(n.astype(np.float64)), resolution_angstrom.astype(np.float64) ** -2
    spread = float(np.square(x - x.mean()).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
    if slope <= 0:
        raise InputError(
            "resolution against particles: it does not get finer with more particles; expected a curve that rises; "
            "the particles may be limited by something else than noise, such as their poses or the prior"
        )
    intercept = float(y.mean() - slope * x.mean())
    scatter = float(np.square(y - intercept - slope * x).sum()) / (len(x) - 2)
    slope_error = float(np.sqrt(scatter / spread))
    return BFactorFit(2 / slope, 2 * slope_error / slope**2, intercept, slope, len(x))


def particle_exchange(
    n: Float[np.ndarray, " p"],
    resolution_angstrom: Float[np.ndarray, " p"],
    reference_n: Float[np.ndarray, " q"],
    reference_angstrom: Float[np.ndarray, " q"],
) -> Exchange | None:
    """Return how many particles of a reference one particle is worth; None where the curves share no resolution.

    Both curves are read at every measured resolution of either that lies within the other. Between neighbouring
    points 1 / d^2 is linear in ln N; nothing is read beyond the first or the last point. A curve that passes a
    resolution more than once gives all these numbers of particles to the range, and their geometric mean to the ratio.
    """
    own, other = _curve(n, resolution_angstrom), _curve(reference_n, reference_angstrom)
    logs, lows, highs = [], [], []
    for level in np.unique(np.concatenate([own[1], other[1]])):
        here, there = _passes(*own, float(level)), _passes(*other, float(level))
        if here and there:
            logs.append(np.mean(there) - np.mean(here))
            lows.append(min(there) - max(here))
            highs.append(max(there) - min(here))
    if not logs:
        return None
    return Exchange(float(np.exp(np.mean(logs))), float(np.exp(min(lows))), float(np.exp(max(highs))), len(logs))


def _curve(n: np.ndarray, resolution_angstrom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ln N, rising, and 1 / d^2."""
    order = np.argsort(n, kind="stable")
    return np.log(n.astype(np.float64)[order]), resolution_angstrom.astype(np.float64)[order] ** -2


def _passes(log_n: np.ndarray, inverse_square: np.ndarray, level: float) -> list[float]:
    """Return every ln N at which the curve passes a level, between its points or at them."""
    found = [float(x) for x, y in zip(log_n, inverse_square, strict=True) if y == level]
    for i in range(len(log_n) - 1):
        left, right = inverse_square[i] - level, inverse_square[i + 1] - level
        if left * right < 0:
            found.append(float(log_n[i] + (log_n[i + 1] - log_n[i]) * left / (left - right)))
    return found
