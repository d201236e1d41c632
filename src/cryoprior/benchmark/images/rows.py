"""The rows of a benchmark of images: scores of methods, floors and controls of equal size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.benchmark.images.method_images import ImagesBySeed
from cryoprior.benchmark.images.sceptics import sceptic_floors
from cryoprior.benchmark.images.scorer import HALF, Scorer
from cryoprior.benchmark.images.storage import KIND, stored_as
from cryoprior.benchmark.images.work import CellWork, ImageWork
from cryoprior.evaluation.floors import constant_image, radial_spectrum, spectrum_noise
from cryoprior.measurement.reading import calibration_sample
from cryoprior.operators import Operator, rounded
from cryoprior.operators.equal_size import control_operators
from cryoprior.random import ParticleNoise

FULL, FEWER = "full image", "fewer particles"
GAINS = ("ssim", "correlation", "frc")


@dataclass(frozen=True)
class ImageRows:
    """All rows of a benchmark of images."""

    work: ImageWork
    scorer: Scorer

    def full(self) -> dict[str, Any]:
        """Return the row of the full noisy images."""
        return self._row(None, FULL, "control", "control", self.scorer.scores(self.work.original))

    def stored(self) -> Iterator[dict[str, Any]]:
        """Yield a row for every encoding of the plan: whole images as its files give them back."""
        pixels = self.work.original[0].numel()
        for text in self.work.plan.encodings:
            kept = stored_as(text, self.work.original)
            numbers = kept.bytes_per_particle / 4
            size = {"stored": numbers, "bytes_per_particle": kept.bytes_per_particle, "compression": pixels / numbers}
            scores = self.scorer.scores(torch.from_numpy(kept.images))
            yield self._row(None, text, KIND, KIND, {**scores, **size})

    def cell(self, cell: CellWork, images: ImagesBySeed) -> Iterator[dict[str, Any]]:
        """Yield the rows of a cell: floors, controls of equal size, then every method with every seed.

        Gains are scores minus those of least squares on the same particles.
        """
        linear: dict[int, dict[str, float]] = {}

        def gained(scores: Mapping[str, float], n: int) -> dict[str, float]:
            if n not in linear:
                linear[n] = self.scorer.scores(cell.least_squares[:n])
            return {**scores, **{f"{name}_gain": scores[name] - linear[n][name] for name in GAINS}}

        for name, scores in self._floors.items():
            yield self._row(cell, name, "floor", "floor", gained(scores, len(self.work.original)))
        for name, x in sceptic_floors(cell).items() if self.scorer.clean is not None else ():
            yield self._row(cell, name, "floor", "floor", gained(self.scorer.scores(x), len(x)))
        for name, operator in self._controls(cell.operator.storage_compression).items():
            x = _kept(operator, self.work.original, cell.particles)
            values = gained(self.scorer.scores(x), len(x))
            yield self._row(cell, name, "control", "control", values, operator=operator)
        if self.work.plan.fewer_particles:
            yield self._row(cell, FEWER, "control", "control", self._fewer(cell))
        for method in cell.wanted():
            for seed in self.work.plan.seeds:
                made = images[method.name, seed]
                what = {"solver": method.solver, "samples": method.samples, "seed": seed, "n": len(made.x)}
                cost = made.cost() | {"memory_mb": cell.memory(method)}
                scores = gained(self.scorer.scores(made.x), len(made.x))
                yield self._row(cell, method.name, "method", method.estimate, {**scores, **what, **cost})

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

    def _fewer(self, cell: CellWork) -> dict[str, float]:
        """Return the agreement of as many whole images as the cell's numbers make up, the other particles blank."""
        if self.scorer.clean is None:
            return {}
        whole = self.work.original.clone()
        whole[round(len(whole) / cell.operator.storage_compression) :] = 0
        return self.scorer.agreement(whole)

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
        what: dict[str, Any] = {"series": "", "cell": "", "mask": "", "variant": "", "operator": ""}
        pixels = float(self.work.original[0].numel())
        size = {"compression": 1.0, "effective_compression": 1.0, "stored": pixels, "bytes_per_particle": 4 * pixels}
        if cell is not None:
            shown = cell.cell
            what = {"series": shown.series, "cell": shown.name, "mask": shown.mask}
            what |= {"variant": shown.variant, "operator": shown.operator}
            counted = operator or cell.operator
            size = {name: float(getattr(counted, name)) for name in COUNTED}
            size = {"compression": float(cell.operator.compression)} | size
        what |= size | {"method": method, "kind": kind, "estimate": estimate, "solver": "", "samples": 1}
        what |= {"seed": self.work.plan.seeds[0], "n": len(self.work.original)}
        row = dict.fromkeys(columns(self.scorer.names), float("nan")) | what
        return row | dict(values)


COUNTED = ("effective_compression", "stored", "bytes_per_particle")
"""What of its size an operator knows itself."""
COLUMNS = (
    "series",
    "cell",
    "mask",
    "variant",
    "operator",
    "compression",
    "effective_compression",
    "stored",
    "bytes_per_particle",
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
    HALF,
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


def columns(scores: Sequence[str]) -> list[str]:
    """Return the columns of a table with these scores; those that are not always there come last."""
    more = [text for name in scores for text in (name, f"{name}_std") if name not in COLUMNS]
    return [*COLUMNS, *more]


def _kept(operator: Operator, images: Float[Tensor, "n box box"], particles: list[int]) -> Float[Tensor, "n box box"]:
    """Return what a control leaves of full images."""
    return operator.pinv(rounded(operator, operator.forward(images, particles), particles), particles)
