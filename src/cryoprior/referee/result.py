"""What an audit found: agreement with the truth, verdict and worth by shell, and the gated maps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryoprior.metrics.gate import Gate, verdicts
from cryoprior.metrics.referee import Curve, Estimate, Referee
from cryoprior.metrics.rings import shell_resolution_angstrom
from cryoprior.referee.randomising import RandomisedPair

JUDGED = (0.143, 0.95)
"""The FSC of the half maps between which the worth of all shells is averaged: above the data need no help."""
BEYOND = 4.0
"""Standard errors above 1, in two shells, by which the agreement of a prior's map with the truth is impossible."""


@dataclass(frozen=True, eq=False, repr=False)
class AuditedMaps:
    """Maps, each (d, d, d): without a prior, the mean of the prior's, the prior's of both halves, and all gated."""

    free: Float[Tensor, "d d d"]
    prior: Float[Tensor, "d d d"]
    prior_half_1: Float[Tensor, "d d d"]
    prior_half_2: Float[Tensor, "d d d"]
    gated: Float[Tensor, "d d d"]
    gated_half_1: Float[Tensor, "d d d"]
    gated_half_2: Float[Tensor, "d d d"]

    def __repr__(self) -> str:
        return f"AuditedMaps(box {len(self.free)})"


@dataclass(frozen=True, eq=False, repr=False)
class TrueCurves:
    """FSC with the true map, each (shells,): of the prior-free map, of the prior's and of the gated one."""

    free: Curve
    prior: Curve
    gated: Curve


@dataclass(frozen=True)
class Worth:
    """Times as many particles as the prior-free map has, the geometric mean over shells, with its standard error.

    first, last: the shells. 1 and no error where no shell can be judged.
    """

    ratio: float
    error: float
    first: int
    last: int


@dataclass(frozen=True, eq=False, repr=False)
class Audit:
    """What half maps say of the maps that a prior made of them.

    found: the sums by shell and what follows from them. weights: of the gate. truth: where the true map was given.
    randomised: where the prior's maps of half maps with random phases were given. missing_views: whether the views of
    the particles are known to leave directions out, of which the half maps then say nothing. cut_share: of the
    particle, what the mask leaves out.
    """

    voxel_size_angstrom: float
    masked: bool
    found: Referee
    weights: Gate
    maps: AuditedMaps
    truth: TrueCurves | None = None
    randomised: RandomisedPair | None = None
    missing_views: bool = False
    cut_share: float = 0.0

    @property
    def box(self) -> int:
        """Return the voxels a side."""
        return len(self.maps.free)

    @cached_property
    def angstrom(self) -> Curve:
        """Return the resolution of every shell, infinite for shell 0."""
        return shell_resolution_angstrom(self.box, self.voxel_size_angstrom)

    @cached_property
    def verdicts(self) -> list[str]:
        """Return ``measured``, ``supported``, ``prior only`` or ``unknown`` for every shell 0 .. d // 2."""
        return verdicts(self.found, self.weights)

    @cached_property
    def other_half_seen(self) -> bool:
        """Return whether the prior's maps agree with the truth by more than 1: they follow the other half's noise.

        A prior that follows it only a little is not found out by this.
        """
        half = self.found.prior_of_half()
        excess = ((half.value - 1) / self.found.error(half).clamp_min(1e-12))[self.found.known]
        return int((excess > BEYOND).sum()) >= 2

    @cached_property
    def judged(self) -> Bool[Tensor, " shells"]:
        """Return the shells that the worth is averaged over: known, FSC of the half maps from 0.143 to 0.95."""
        fsc = self.found.half_fsc
        chosen = self.found.known & (fsc >= JUDGED[0]) & (fsc <= JUDGED[1])
        chosen[0] = False
        return chosen

    @cached_property
    def worth(self) -> Worth:
        """Return what the gated map is worth over the judged shells."""
        return self._mean_worth(self.weights.worth, self.weights.worth_error)

    @cached_property
    def prior_worth(self) -> Worth:
        """Return what the prior's map alone is worth over the judged shells."""
        return self._mean_worth(self.weights.prior_worth, self.weights.prior_worth_error)

    def known(self, estimate: Estimate) -> tuple[Curve, Curve]:
        """Return an estimate and its error, NaN where nothing is known."""
        gap = torch.where(self.found.known, 0.0, math.nan).double()
        return estimate.value + gap, self.found.error(estimate) + gap

    def rows(self) -> list[dict[str, Any]]:
        """Return every shell but 0 with the numbers under the names that the files promise; None is unknown."""
        free, free_error = self.known(self.found.free())
        prior, error = self.known(self.found.prior())
        invented, invented_error = self.known(self.found.invented())
        curves = {
            "angstrom": self.angstrom,
            "free": free,
            "free_error": free_error,
            "prior": prior,
            "error": error,
            "gated": self.weights.gated,
            "gated_error": self.weights.gated_error,
            "worth": self.weights.worth,
            "worth_error": self.weights.worth_error,
            "prior_worth": self.weights.prior_worth,
            "prior_worth_error": self.weights.prior_worth_error,
            "invented": invented,
            "invented_error": invented_error,
            "weight_free": self.weights.free,
            "weight_prior": self.weights.prior,
            "fsc_halves": self.found.half_fsc,
            "fsc_prior_halves": self.found.prior_fsc,
            **({} if self.truth is None else {f"true_{name}": curve for name, curve in vars(self.truth).items()}),
            **({} if self.randomised is None else {"fsc_randomised": self.randomised.fsc}),
        }
        columns = {name: curve.tolist() for name, curve in curves.items()}
        return [
            {"shell": k, **{name: _number(column[k]) for name, column in columns.items()}, "verdict": self.verdicts[k]}
            for k in range(1, len(self.verdicts))
        ]

    def summary(self) -> dict[str, Any]:
        """Return the numbers under the names that summary.json promises."""
        from cryoprior.referee.words import sentences

        counts = {name: self.verdicts[1:].count(name) for name in ("measured", "supported", "prior only", "unknown")}
        summary = {
            "says": " ".join(sentences(self)),
            "worth_particles": self.worth.ratio,
            "worth_particles_error": self.worth.error,
            "worth_shells": [self.worth.first, self.worth.last],
            "prior_worth_particles": self.prior_worth.ratio,
            "prior_worth_particles_error": self.prior_worth.error,
            "shells": counts,
            "other_half_seen": self.other_half_seen,
            "masked": self.masked,
            "missing_views": self.missing_views,
            "mask_cuts_share": self.cut_share,
            "box": self.box,
            "voxel_size_angstrom": self.voxel_size_angstrom,
        }
        if self.randomised is not None:
            summary["randomised"] = self.randomised.summary(self.found.prior_fsc)
        return {**summary, "verdict": self.rows()}

    def __repr__(self) -> str:
        shells = len(self.verdicts) - 1
        supported = self.verdicts.count("supported")
        worth = f"worth {self.worth.ratio:.2f} +- {self.worth.error:.2f} x particles"
        return f"Audit({supported} of {shells} shells supported, gated map {worth})"

    def _mean_worth(self, ratio: Curve, error: Curve) -> Worth:
        chosen = self.judged & torch.isfinite(ratio) & (ratio > 0)
        places = torch.nonzero(chosen).flatten().tolist()
        if not places:
            return Worth(1.0, 0.0, 0, 0)
        log, relative = ratio[chosen].log(), error[chosen] / ratio[chosen]
        mean = math.exp(float(log.mean()))
        return Worth(mean, mean * float(relative.square().sum().sqrt()) / len(places), places[0], places[-1])


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
