"""Pairs of methods of a benchmark of images, compared with paired standard errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.benchmark.images.method_images import ImagesBySeed, MethodImages
from cryoprior.benchmark.images.plan import ImageMethod, ImagesPlan
from cryoprior.benchmark.images.scorer import Scorer, power_of
from cryoprior.benchmark.images.unmeasured import unmeasured_sums
from cryoprior.benchmark.images.work import CellWork
from cryoprior.evaluation.pooled import PairSums, pooled_gain

OTHER = "other"
"""The kind of a comparison of ours with a method of another kind."""
WITHIN = 2.0
"""Standard errors within which a score counts as not lower."""


@dataclass(frozen=True)
class ImagePairs:
    """All comparisons of a benchmark of images."""

    plan: ImagesPlan
    scorer: Scorer

    def cell(self, cell: CellWork, images: ImagesBySeed) -> Iterator[dict[str, Any]]:
        """Yield every comparison of one of ours with another method, on the particles that both have.

        The others are those of its kind, mean or sample, and those that the plan names in ``against``.
        """
        if self.scorer.clean is None:
            return
        methods = cell.wanted()
        by_seed = {m.name: [images[m.name, seed] for seed in self.plan.seeds] for m in methods}
        sums = {name: self._summed(made) for name, made in by_seed.items()}
        for ours in [m for m in methods if m.ours]:
            for other in self._others(ours, methods):
                mine, theirs = by_seed[ours.name], by_seed[other.name]
                n = min(len(mine[0].x), len(theirs[0].x))
                gain = pooled_gain(sums[ours.name].first(n), sums[other.name].first(n))
                if self.plan.unmeasured:
                    hidden = [unmeasured_sums(cell, made[0]).first(n) for made in (mine, theirs)]
                    gain |= {"unmeasured": pooled_gain(*hidden)["correlation"]}
                gain |= {"ssim": paired(self._similar(mine, n) - self._similar(theirs, n))}
                kind = ours.estimate if self._alike(ours, other) else OTHER
                what = {"cell": cell.cell.name, "ours": ours.name, "other": other.name, "estimate": kind, "n": n}
                yield what | _compared(gain, mine[0], theirs[0]) | self._powers(mine[0].x[:n], theirs[0].x[:n])

    def _others(self, ours: ImageMethod, methods: list[ImageMethod]) -> list[ImageMethod]:
        """Return the methods to compare with; two of ours are compared once."""
        later = methods[methods.index(ours) + 1 :]
        met = [m for m in methods if self._alike(ours, m) or m.name in self.plan.against]
        return [m for m in met if m != ours and (not m.ours or m in later)]

    @staticmethod
    def _alike(ours: ImageMethod, other: ImageMethod) -> bool:
        """Return whether two methods are of one kind; an optimum called a sample is compared with means too."""
        return other.estimate == ours.estimate or (other.guess and ours.estimate == "mean")

    def _powers(self, mine: Float[Tensor, "n box box"], theirs: Float[Tensor, "n box box"]) -> dict[str, float]:
        """Return the variance of both over that of the recorded images."""
        recorded = power_of(self.scorer.original[: len(mine)])
        return {"power_ours": power_of(mine) / recorded, "power_other": power_of(theirs) / recorded}

    def _summed(self, images: Sequence[MethodImages]) -> PairSums:
        """Return the products with the clean images, all seeds together."""
        total = self.scorer.sums(images[0].x)
        for more in images[1:]:
            total = total + self.scorer.sums(more.x)
        return total

    def _similar(self, images: Sequence[MethodImages], n: int) -> Float[Tensor, " n"]:
        """Return the SSIM of each of the first n particles, averaged over seeds."""
        return torch.stack([self.scorer.similarity(made.x[:n]) for made in images]).mean(0)


def paired(difference: Float[Tensor, " n"]) -> list[float]:
    """Return the mean of a difference per particle, and its standard error."""
    n = len(difference)
    return [float(difference.mean()), float(difference.std()) / n**0.5 if n > 1 else 0.0]


def _compared(gain: dict[str, list[float]], mine: MethodImages, theirs: MethodImages) -> dict[str, Any]:
    """Return the gain in every score with its error, the cost per image, and whether the FRC of ours is lower."""
    scores = {name: value for score in gain for name, value in zip((score, f"{score}_error"), gain[score], strict=True)}
    return {
        **scores,
        "evaluations_ours": mine.evaluations,
        "evaluations_other": theirs.evaluations,
        "backward_other": theirs.backward,
        "ratio": theirs.evaluations / mine.evaluations if mine.evaluations else float("nan"),
        "verdict": "LOWER" if scores["frc"] < -WITHIN * scores["frc_error"] else "not lower",
    }
