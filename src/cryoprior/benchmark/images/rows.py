"""The rows of a benchmark of images: scores of methods, floors and controls of equal size, and pairs of methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.benchmark.images.plan import ImageCell, ImageMethod
from cryoprior.benchmark.images.work import CellWork, ImageWork, MethodImages
from cryoprior.evaluation.floors import constant_image, radial_spectrum, spectrum_noise
from cryoprior.evaluation.pooled import PairSums, pooled_gain, pooled_scores
from cryoprior.measurement.reading import calibration_sample
from cryoprior.metrics import Lpips, psnr, ssim
from cryoprior.operators import Operator
from cryoprior.operators.equal_size import control_operators
from cryoprior.random import ParticleNoise

FULL = "full image"
SCORE_BATCH = 32
SCORES = ("psnr", "ssim", "lpips")
GAINS = ("ssim", "correlation", "frc")
WITHIN = 2.0
"""Standard errors within which a score counts as not lower."""


@dataclass(frozen=True)
class Scorer:
    """Scores images against the particles and their clean images; lpips is None where it is not known."""

    original: Float[Tensor, "n box box"]
    clean: Float[Tensor, "n box box"] | None
    lpips: Lpips | None

    def scores(self, x: Float[Tensor, "n box box"]) -> dict[str, float]:
        """Return mean and deviation of the image scores, the power against the original's, and the pooled agreement.

        ``power``: of x about its mean, over that of the original, all particles together: 1 for a draw of the right
        law, less for a mean.
        """
        original = self.original[: len(x)]
        values: dict[str, Tensor] = {"psnr": psnr(x, original), "ssim": ssim(x, original)}
        if self.lpips is not None:
            parts = [slice(start, start + SCORE_BATCH) for start in range(0, len(x), SCORE_BATCH)]
            values["lpips"] = torch.cat([self.lpips(x[rows], original[rows]) for rows in parts])
        found: dict[str, float] = {}
        for name in SCORES:
            score = values.get(name, torch.full((1,), torch.nan)).double()
            found[name], found[f"{name}_std"] = float(score.mean()), float(score.std(correction=0))
        found["power"] = _power(x) / _power(original)
        agreement = {"correlation": float("nan"), "frc": float("nan")}
        return found | (agreement if self.clean is None else pooled_scores(self.sums(x)))

    def sums(self, x: Float[Tensor, "n box box"]) -> PairSums:
        """Return the products with the clean images, particle by particle."""
        assert self.clean is not None
        return PairSums.of(x, self.clean[: len(x)])


@dataclass(frozen=True)
class ImageRows:
    """All rows of a benchmark of images."""

    work: ImageWork
    scorer: Scorer

    def full(self) -> dict[str, Any]:
        """Return the row of the full noisy images."""
        return self._row(None, FULL, "control", "control", self.scorer.scores(self.work.original))

    def cell(self, cell: CellWork, found: Mapping[tuple[str, int], MethodImages]) -> Iterator[dict[str, Any]]:
        """Yield the rows of a cell: floors, controls of equal size, then every method with every seed.

        Gains are scores less those of least squares on the same particles.
        """
        linear: dict[int, dict[str, float]] = {}

        def gained(scores: Mapping[str, float], n: int) -> dict[str, float]:
            if n not in linear:
                linear[n] = self.scorer.scores(cell.least_squares[:n])
            return {**scores, **{f"{name}_gain": scores[name] - linear[n][name] for name in GAINS}}

        for name, scores in self._floors.items():
            yield self._row(cell, name, "floor", "floor", gained(scores, len(self.work.original)))
        for name, operator in self._controls(cell.operator.compression).items():
            x = _kept(operator, self.work.original, cell.particles)
            values = gained(self.scorer.scores(x), len(x))
            yield self._row(cell, name, "control", "control", values, operator=operator)
        for method in cell.wanted():
            for seed in self.work.plan.seeds:
                images, n = found[method.name, seed], len(found[method.name, seed].x)
                what = {"solver": method.solver, "samples": method.samples, "seed": seed, "n": n}
                cost = images.cost() | {"memory_mb": cell.memory(method)}
                scores = gained(self.scorer.scores(images.x), n)
                yield self._row(cell, method.name, "method", method.estimate, {**scores, **what, **cost})

    def pairs(self, cell: CellWork, found: Mapping[tuple[str, int], MethodImages]) -> Iterator[dict[str, Any]]:
        """Yield every comparison of one of ours with another method of its kind, on the particles that both have."""
        if self.scorer.clean is None:
            return
        methods = cell.wanted()
        sums = {m.name: self._summed([found[m.name, seed] for seed in self.work.plan.seeds]) for m in methods}
        first = self.work.plan.seeds[0]
        for ours in [m for m in methods if m.ours]:
            for other in self._others(ours, methods):
                mine, theirs = found[ours.name, first], found[other.name, first]
                n = min(len(mine.x), len(theirs.x))
                gain = pooled_gain(sums[ours.name].first(n), sums[other.name].first(n))
                recorded = _power(self.scorer.original[:n])
                powers = {f"power_{who}": _power(x.x[:n]) / recorded for who, x in (("ours", mine), ("other", theirs))}
                yield _pair(cell.cell, ours, other, n, gain, (mine, theirs)) | powers

    @staticmethod
    def _others(ours: ImageMethod, methods: list[ImageMethod]) -> list[ImageMethod]:
        """Return the methods of the same kind; two of ours meet once."""
        later = methods[methods.index(ours) + 1 :]
        alike = [m for m in methods if m.estimate == ours.estimate or (m.guess and ours.estimate == "mean")]
        return [m for m in alike if m != ours and (not m.ours or m in later)]

    def _summed(self, images: list[MethodImages]) -> PairSums:
        total = self.scorer.sums(images[0].x)
        for more in images[1:]:
            total = total + self.scorer.sums(more.x)
        return total

    @cached_property
    def _floors(self) -> dict[str, dict[str, float]]:
        """The scores of images that know nothing of the particles."""
        original = self.work.original
        spectrum, mean = radial_spectrum([original])
        noise = ParticleNoise(0, "bench/spectrum-noise", [int(i) for i in self.work.stacks[0].index])
        drawn = spectrum_noise(spectrum, mean, noise).float()
        return {
            "constant": self.scorer.scores(constant_image(original)),
            "spectrum noise": self.scorer.scores(drawn),
        }

    def _controls(self, compression: float) -> dict[str, Operator]:
        sample = torch.from_numpy(calibration_sample(len(self.work.original)))
        return control_operators(self.work.original[sample], compression)

    def _row(
        self,
        cell: CellWork | None,
        method: str,
        kind: str,
        estimate: str,
        values: Mapping[str, Any],
        operator: Operator | None = None,
    ) -> dict[str, Any]:
        what = {"series": "", "cell": "", "mask": "", "variant": "", "operator": ""}
        size = {"compression": 1.0, "effective_compression": 1.0, "stored": float(self.work.original[0].numel())}
        if cell is not None:
            shown = cell.cell
            what = {"series": shown.series, "cell": shown.name, "mask": shown.mask}
            what |= {"variant": shown.variant, "operator": shown.operator}
            counted = operator or cell.operator
            size = {name: float(getattr(counted, name)) for name in ("effective_compression", "stored")}
            size = {"compression": float(cell.operator.compression)} | size
        row = (
            dict.fromkeys(COLUMNS, float("nan")) | what | size | {"method": method, "kind": kind, "estimate": estimate}
        )
        row |= {"solver": "", "samples": 1, "seed": self.work.plan.seeds[0], "n": len(self.work.original)}
        return row | dict(values)


COLUMNS = (
    "series",
    "cell",
    "mask",
    "variant",
    "operator",
    "compression",
    "effective_compression",
    "stored",
    "method",
    "kind",
    "estimate",
    "solver",
    "samples",
    "seed",
    "n",
    "psnr",
    "psnr_std",
    "ssim",
    "ssim_std",
    "lpips",
    "lpips_std",
    "correlation",
    "frc",
    "ssim_gain",
    "correlation_gain",
    "frc_gain",
    "power",
    "residual",
    "evaluations",
    "backward",
    "memory_mb",
    "seconds",
    "seconds_network",
    "seconds_own",
)


def _pair(
    cell: ImageCell,
    ours: ImageMethod,
    other: ImageMethod,
    n: int,
    gain: Mapping[str, list[float]],
    images: tuple[MethodImages, MethodImages],
) -> dict[str, Any]:
    (correlation, correlation_error), (frc, frc_error) = gain["correlation"], gain["frc"]
    mine, theirs = images
    return {
        "cell": cell.name,
        "ours": ours.name,
        "other": other.name,
        "estimate": ours.estimate,
        "n": n,
        "correlation": correlation,
        "correlation_error": correlation_error,
        "frc": frc,
        "frc_error": frc_error,
        "evaluations_ours": mine.evaluations,
        "evaluations_other": theirs.evaluations,
        "backward_other": theirs.backward,
        "ratio": theirs.evaluations / mine.evaluations if mine.evaluations else float("nan"),
        "verdict": "LOWER" if frc < -WITHIN * frc_error else "not lower",
    }


def _kept(operator: Operator, images: Float[Tensor, "n box box"], particles: list[int]) -> Float[Tensor, "n box box"]:
    """Return what a control leaves of full images."""
    return operator.pinv(operator.forward(images, particles), particles)


def _power(x: Float[Tensor, "n box box"]) -> float:
    return float(np.var(x.double().numpy(), axis=(1, 2)).mean())
