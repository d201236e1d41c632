"""What particles are worth: the resolution of maps of fewer and fewer of them, and how many replace how many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.maps.arrays import Array
from cryoprior.maps.judgement import Judgement, judge_maps
from cryoprior.maps.map_set import MapSet
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.source import Source, Subset
from cryoprior.maps.sums import MapSettings
from cryoprior.metrics.fsc import Resolution
from cryoprior.metrics.particle_number import (
    SMALLEST_FIT,
    BFactorFit,
    Exchange,
    fit_b_factor,
    particle_exchange,
)
from cryoprior.random import numpy_stream

SMALLEST_HALF = 50
"""Particles of the smaller half set in the smallest map."""
HALF_MAPS, TRUTH = "half maps 0.143", "truth 0.5"


@dataclass(frozen=True)
class Point:
    """What a map of n particles reaches by one criterion; ``left_out`` says why it does not count, empty if it does."""

    n: int
    resolution: Resolution
    left_out: str


@dataclass(frozen=True)
class Curve:
    """Resolution against particles by one criterion, from all particles down."""

    points: tuple[Point, ...]

    @property
    def usable(self) -> tuple[Point, ...]:
        """The points that count."""
        return tuple(point for point in self.points if not point.left_out)

    def arrays(self) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"]]:
        """Return particles and resolutions in angstrom of the points that count."""
        n, angstrom = ([p.n for p in self.usable], [p.resolution.angstrom for p in self.usable])
        return np.array(n, np.float64), np.array(angstrom, np.float64)

    def fit(self) -> BFactorFit | str:
        """Return the B-factor, or why there is none."""
        try:
            return fit_b_factor(*self.arrays())
        except InputError as error:
            return str(error)

    def exchange(self, reference: Curve) -> Exchange | None:
        """Return how many particles of the reference one of these is worth, where both reach some resolution."""
        return particle_exchange(*self.arrays(), *reference.arrays())


@dataclass(frozen=True)
class Worth:
    """The curves of one way to treat particles, by criterion: half maps, and the truth where it is known."""

    name: str
    curves: Mapping[str, Curve]


def particle_subsets(half: Int[np.ndarray, " n"], seed: int, smallest: int = SMALLEST_HALF) -> Iterator[np.ndarray]:
    """Yield the rows of a half, a quarter, ... of the particles, rising, as long as each half set keeps enough.

    Each is part of the one before, and takes the same share of both half sets. Sources with the same half sets get the
    same rows.

    Parameters
    ----------
    half: the half set of every particle, 1 or 2.
    smallest: particles that the smaller half set keeps at least.
    """
    drawn = [numpy_stream(seed, "map/worth", h).permutation(np.flatnonzero(half == h)) for h in (1, 2)]
    share = 2
    while min(len(rows) for rows in drawn) >= share * smallest:
        yield np.sort(np.concatenate([rows[: len(rows) // share] for rows in drawn]))
        share *= 2


def check_enough(source: Source, smallest: int = SMALLEST_HALF) -> None:
    """Raise InputError where a source has too few particles for the three maps of a fit."""
    counts = [int((source.geometry.half == h).sum()) for h in (1, 2)]
    least = smallest * 2 ** (SMALLEST_FIT - 1)
    if min(counts) < least:
        raise InputError(
            f"{source.path}: {counts[0]} and {counts[1]} particles in the half sets; expected at least {least} in "
            f"each, for maps of all, half and a quarter of them; take more particles, or leave out <worth>"
        )


def particle_worth(
    name: str,
    source: Source,
    settings: MapSettings,
    mask: Float[Tensor, "d d d"],
    truth: Array | None = None,
    seed: int = 0,
    whole: tuple[MapSet, Judgement] | None = None,
) -> Worth:
    """Return the resolution of maps of all, half, a quarter, ... of the particles of a source, within one mask.

    Parameters
    ----------
    mask: 0 to 1; one for all maps that are compared, since a mask made from a map of few particles is another one.
    truth: the true map, (d, d, d), where it is known.
    seed: of the choice of the particles, and of the randomised phases.
    whole: the maps of all particles with their judgement, where they are there already.

    Raises
    ------
    InputError: what making and judging maps raises.
    """
    if whole is None:
        maps = solve_maps(source, settings, name)
        whole = maps, judge_maps(maps, mask, truth, seed)
    judged = [whole]
    for rows in particle_subsets(source.geometry.half, seed):
        maps = solve_maps(Subset(source, rows), settings, f"{name}, {len(rows)} particles")
        judged.append((maps, judge_maps(maps, mask, truth, seed)))
    curves = {HALF_MAPS: Curve(tuple(_point(maps, judgement.resolution) for maps, judgement in judged))}
    if truth is not None:
        curves[TRUTH] = Curve(tuple(_point(maps, j.truth.resolution) for maps, j in judged if j.truth is not None))
    return Worth(name, curves)


def reference_of(worths: Sequence[Worth], names: Sequence[str]) -> Worth | None:
    """Return the way that the others are measured in: the first of these names that is there, None where none is."""
    by_name = {worth.name: worth for worth in worths}
    return next((by_name[name] for name in names if name in by_name), None) if len(worths) > 1 else None


def worth_table(worths: Sequence[Worth]) -> pd.DataFrame:
    """Return every point of every curve as a row."""
    rows = [
        {
            "map": worth.name,
            "criterion": criterion,
            "n": point.n,
            "resolution_angstrom": point.resolution.stated,
            "inverse_square_per_angstrom2": point.resolution.angstrom**-2,
            "left_out": point.left_out,
        }
        for worth in worths
        for criterion, curve in worth.curves.items()
        for point in curve.points
    ]
    return pd.DataFrame(rows)


def worth_summary(worths: Sequence[Worth], reference: Worth | None) -> dict[str, Any]:
    """Return the numbers under the names that summary.json promises, by map and criterion."""
    return {
        "reference": None if reference is None else reference.name,
        "maps": {
            worth.name: {
                criterion: _numbers(curve, _other(reference, worth, criterion))
                for criterion, curve in worth.curves.items()
            }
            for worth in worths
        },
    }


def _other(reference: Worth | None, worth: Worth, criterion: str) -> Curve | None:
    return None if reference is None or reference is worth else reference.curves[criterion]


def _numbers(curve: Curve, reference: Curve | None) -> dict[str, Any]:
    fit = curve.fit()
    numbers: dict[str, Any] = {
        "points": len(curve.points),
        "points_used": len(curve.usable),
        "b_factor_angstrom2": None if isinstance(fit, str) else fit.b_factor,
        "b_factor_error_angstrom2": None if isinstance(fit, str) else fit.error,
        "no_b_factor": fit if isinstance(fit, str) else None,
    }
    if reference is not None:
        exchange = curve.exchange(reference)
        numbers["worth_particles"] = None if exchange is None else exchange.ratio
        numbers["worth_range"] = None if exchange is None else [exchange.low, exchange.high]
    return numbers


def _point(maps: MapSet, resolution: Resolution) -> Point:
    reason = ""
    if resolution.nyquist_limited:
        reason = "limited by Nyquist"
    elif not resolution.known:
        reason = "undetermined: no shell reaches the threshold"
    return Point(maps.n, resolution, reason)
