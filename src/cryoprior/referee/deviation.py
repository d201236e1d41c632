"""How uncertain a prior's map is by voxel: draws of its posterior, and what the half maps say of their spread.

Draws show what the prior holds for possible, not what is. The half maps measure how far the prior's map really is from
the truth: in the words of :mod:`cryoprior.metrics.referee`, by shell,

    |D - t|^2 = |D|^2 - 2 S + T

Over the spread of the draws it says by how much their deviation is too small or too large, on the user's own data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryoprior.metrics.fsc import volume_shell_sums
from cryoprior.metrics.referee import Curve, Estimate, Referee
from cryoprior.metrics.rings import shell_resolution_angstrom
from cryoprior.prior.volume.asking import draws_of_map
from cryoprior.prior.volume.map_prior import MapPrior
from cryoprior.prior.volume.sampling import check_samples, mean_and_deviation
from cryoprior.referee.result import Audit

RIGHT = 1.25
"""Times by which a deviation may be off, either way, before a page says that it is."""

Volume = Float[Tensor, "d d d"]
Keep = Callable[[int, Volume], None]
"""What is done with every draw, by its number from 1, before it is forgotten."""


@dataclass(frozen=True, eq=False, repr=False)
class PriorDeviation:
    """What draws of a map's posterior have in common and where they differ.

    mean, deviation: by voxel, (d, d, d). spread: power by shell of a draw about the mean of all possible ones, within
    the mask of the audit. error, error_deviation: power of the prior's map about the truth, as the half maps say, and
    its standard error. known: shells where they say anything.
    """

    count: int
    seed: int
    voxel_size_angstrom: float
    mean: Volume
    deviation: Volume
    spread: Curve
    error: Curve
    error_deviation: Curve
    known: Bool[Tensor, " shells"]

    @cached_property
    def ratio(self) -> tuple[float, float] | None:
        """Return the true error over the stated deviation, of all known shells together, with its standard error."""
        stated, found = float(self.spread[self.known].sum()), float(self.error[self.known].sum())
        if not stated > 0 or not found > 0:
            return None
        ratio = math.sqrt(found / stated)
        return ratio, float(self.error_deviation[self.known].square().sum().sqrt()) / (2 * stated * ratio)

    def rows(self) -> list[dict[str, Any]]:
        """Return every shell but 0: root mean powers of both in the grey scale of the map, and their ratio."""
        angstrom = shell_resolution_angstrom(len(self.mean), self.voxel_size_angstrom).tolist()
        power = self.error.clamp_min(0)
        columns = zip(self.spread.tolist(), power.tolist(), self.known.tolist(), strict=True)
        rows = [
            {
                "shell": k,
                "angstrom": angstrom[k],
                "stated": math.sqrt(stated),
                "error": math.sqrt(found) if known else None,
                "ratio": math.sqrt(found / stated) if known and stated > 0 else None,
            }
            for k, (stated, found, known) in enumerate(columns)
        ]
        return rows[1:]

    def summary(self) -> dict[str, Any]:
        """Return the numbers under the names that summary.json promises."""
        ratio, error = self.ratio or (None, None)
        return {"samples": self.count, "seed": self.seed, "ratio": ratio, "ratio_error": error, "says": self.says()}

    def says(self) -> str:
        """Return in a sentence whether the half maps bear the deviation out."""
        if self.ratio is None:
            return "The half maps cannot say whether the deviation of the prior's map is right."
        value, error = self.ratio
        said = f"By the half maps the prior's map is off by {value:.2f} ± {error:.2f} times the deviation of the draws"
        if value > RIGHT:
            return f"{said}, which is too small: multiply it by that."
        return f"{said}, which is too large: multiply it by that." if value < 1 / RIGHT else f"{said}, as it should be."

    def __repr__(self) -> str:
        return f"PriorDeviation({self.count} draws, box {len(self.mean)})"


@dataclass(frozen=True, eq=False, repr=False)
class Drawing:
    """Draws that are still to be made: of a prior, for a map of all particles whose two halves were audited.

    mask: that of the audit.
    """

    prior: MapPrior
    full: Volume
    halves: tuple[Volume, Volume]
    mask: Volume | None
    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        check_samples(self.count)

    def made(self, audit: Audit, keep: Keep | None = None) -> PriorDeviation:
        """Return what the draws say, one at a time in memory."""
        draws = draws_of_map(self.full, *self.halves, audit.voxel_size_angstrom, self.prior, self.count, self.seed)
        watched = _Watched(draws, self.mask, keep)
        mean, deviation = mean_and_deviation(watched)
        spread = (watched.power - self.count * _shell_power(mean, self.mask)) / (self.count - 1)
        error = squared_error(audit.found)
        of = audit.found.error(error)
        signal = (2 * (1 - audit.found.s)).square() * audit.found.signal.clamp_min(0) * audit.found.noise
        of = (of.square() + signal / audit.found.counts).sqrt()
        known = audit.found.known.clone()
        known[0] = False
        size = audit.voxel_size_angstrom
        found = (spread.clamp_min(0), error.value, of, known)
        return PriorDeviation(self.count, self.seed, size, mean.cpu(), deviation.cpu(), *found)

    def __repr__(self) -> str:
        return f"Drawing({self.count} of {self.prior!r})"


def squared_error(found: Referee) -> Estimate:
    """Return |D - t|^2 by shell, D the mean of the prior's maps, in their grey scale.

    What the cross term of signal and noise adds to its error, (1 - s) of it, is not in these two random numbers.
    """
    value = found.prior_power - 2 * found.overlap + found.signal
    return Estimate(value, torch.full_like(value, -2.0), 1 - 2 * found.q)


@dataclass(eq=False, repr=False)
class _Watched:
    """Draws that pass one at a time: each is kept by the caller, and its power by shell within a mask added up."""

    draws: Iterator[Volume]
    mask: Volume | None
    keep: Keep | None
    power: Curve | float = 0.0

    def __iter__(self) -> Iterator[Volume]:
        for number, drawn in enumerate(self.draws, start=1):
            if self.keep is not None:
                self.keep(number, drawn)
            self.power = self.power + _shell_power(drawn, self.mask)
            yield drawn


def _shell_power(volume: Volume, mask: Volume | None) -> Curve:
    within = volume.double() if mask is None else volume.double() * mask.double().to(volume.device)
    return volume_shell_sums(torch.fft.rfftn(within, norm="ortho").abs().square()).cpu()
