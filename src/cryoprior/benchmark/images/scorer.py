"""What images score against the recorded particles and, where they are known, their clean images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.evaluation.pooled import PairSums, pooled_scores
from cryoprior.metrics import METRICS, Lpips, ssim
from cryoprior.metrics.rings import frc_reach_angstrom

SCORE_BATCH = 32
POOLED = ("correlation", "frc")
"""Scores with the clean images, of all particles together."""
HALF = "frc_half_angstrom"
"""The resolution to which the pooled FRC with the clean images is at least a half, NaN where it never is."""


def image_scores() -> list[str]:
    """Return the names of the scores of one image against the recorded one."""
    return [name for name, metric in METRICS.items() if metric.compares == "images" and name not in POOLED]


@dataclass(frozen=True)
class Scorer:
    """Scores images against the particles and their clean images; lpips is None where it is not known.

    pixel_size: in angstrom, for resolutions; 1 gives them in pixels.
    """

    original: Float[Tensor, "n box box"]
    clean: Float[Tensor, "n box box"] | None
    lpips: Lpips | None
    names: tuple[str, ...] = ("psnr", "ssim", "lpips")
    pixel_size: float = 1.0

    def scores(self, x: Float[Tensor, "n box box"]) -> dict[str, float]:
        """Return mean and deviation of the image scores, the power against the original's, and the pooled agreement.

        ``power``: variance of x about its mean over that of the original, all particles together: 1 for a draw of the
        right law, less for a mean.
        """
        original = self.original[: len(x)]
        values = {name: METRICS[name].function(x, original) for name in self.names if name != "lpips"}
        if self.lpips is not None:
            parts = [slice(start, start + SCORE_BATCH) for start in range(0, len(x), SCORE_BATCH)]
            values["lpips"] = torch.cat([self.lpips(x[rows], original[rows]) for rows in parts])
        scores: dict[str, float] = {}
        for name in self.names:
            score = values.get(name, torch.full((1,), torch.nan)).double()
            scores[name], scores[f"{name}_std"] = float(score.mean()), float(score.std(correction=0))
        scores["power"] = power_of(x) / power_of(original)
        return scores | (dict.fromkeys((*POOLED, HALF), float("nan")) if self.clean is None else self.agreement(x))

    def agreement(self, x: Float[Tensor, "n box box"]) -> dict[str, float]:
        """Return the pooled scores with the clean images."""
        sums = self.sums(x)
        reach = frc_reach_angstrom(sums.total().shells.frc[0], sums.box, self.pixel_size)
        return pooled_scores(sums) | {HALF: float("nan") if reach is None else reach}

    def sums(self, x: Float[Tensor, "n box box"]) -> PairSums:
        """Return the products with the clean images, particle by particle."""
        assert self.clean is not None
        return PairSums.of(x, self.clean[: len(x)])

    def similarity(self, x: Float[Tensor, "n box box"]) -> Float[Tensor, " n"]:
        """Return the SSIM of each image with the recorded one."""
        return ssim(x, self.original[: len(x)]).double()


def power_of(x: Float[Tensor, "n box box"]) -> float:
    """Return the variance of images about their own mean, averaged."""
    return float(np.var(x.double().numpy(), axis=(1, 2)).mean())
