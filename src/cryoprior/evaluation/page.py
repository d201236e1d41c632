"""The page of ``evaluate``: pictures, scores beside their floors, and how far to trust them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float

from cryoprior.image.smoothing import smoothed_views
from cryoprior.metrics import METRICS, Metric
from cryoprior.report.figures import MontageRow, grey_limits, montage, shell_curves
from cryoprior.report.page import Alert, Block, KeyValues, Picture, Prose, Section, Table
from cryoprior.report.slider import Slider, own_grey

Score = Mapping[str, float]

NAMES = {
    "reconstruction": "Reconstruction",
    "least_squares": "Least squares (no prior)",
    "low_passed": "Least squares, low-passed",
    "mean_image": "Mean image of the prior, no data",
    "gaussian": "Gaussian prior with mean image",
    "wiener_signal": "Wiener signal, with mean image",
    "spectrum_noise": "Noise of the same spectrum",
    "constant": "Constant image",
    "original": "Full noisy image",
}
THIS_IS = {
    "mean": "This reconstruction is a posterior mean. ",
    "sample": "This reconstruction is a posterior sample. ",
    "signal": "This reconstruction is the signal: the particle without its noise. Scores against the noisy original "
    "are not its measure. Compare it with the Wiener signal, and make no map of it to measure resolution by. ",
}
MEANING = (
    "A posterior mean is the best guess of every pixel: it wins PSNR, SSIM, correlation and all that is averaged "
    "later, and it looks smooth, because what cannot be known is left out. A posterior sample is one image that could "
    "have been there: it has noise like a recorded image and wins LPIPS, but its unmeasured part is invented, and "
    "another draw would invent another. Compare means with means and samples with samples."
)
MOSTLY_NOISE = (
    "A particle image is mostly noise, and no prior can predict noise. So scores against the recorded image mostly "
    "tell how much of its noise was measured, not how well the particle was recovered. They mean something only beside "
    "their floors: an image of one grey value, noise that shares nothing but the power spectrum, and least squares, "
    "which uses no prior at all. What the prior adds shows against a clean image, where one is known."
)
WIPED = 3
"""Particles with a slider."""
HOW_COMPUTED = (
    "Means ± standard deviations over particles. SSIM (uniform 7-pixel window) and PSNR: both images mapped to [0, 1] "
    "by the original's minimum and maximum, data range 1. SSIM on [−1, 1] uses data range 2; the paper states neither. "
    "LPIPS: AlexNet, version 0.1, grey repeated to three channels."
)


@dataclass(frozen=True)
class Example:
    """Pictures of one particle, each (box, box), in the input's grey scale."""

    title: str
    original: Float[np.ndarray, "box box"]
    least_squares: Float[np.ndarray, "box box"]
    reconstruction: Float[np.ndarray, "box box"]
    clean: Float[np.ndarray, "box box"] | None = None


@dataclass(frozen=True)
class EvaluationPage:
    """All that the page shows.

    Parameters
    ----------
    scores: image (a key of NAMES), then metric, to ``mean`` and ``std`` over particles.
    clean: image to its ``correlation``, ``correlation_std`` and ``frc`` with the clean image; empty without one.
    facts: names and values of what was evaluated.
    resolution_angstrom: of every shell.
    frc_original, frc_clean, power: curves by name, each over the shells.
    warnings: boxes that open the page.
    estimate: ``mean`` or ``sample``, empty where it is neither.
    lpips_note: why LPIPS is missing, empty where it is not.
    """

    scores: Mapping[str, Mapping[str, Score]]
    clean: Mapping[str, Mapping[str, float | None]]
    facts: Sequence[tuple[str, str]]
    examples: Sequence[Example]
    resolution_angstrom: Float[np.ndarray, " shells"]
    frc_original: Mapping[str, Float[np.ndarray, " shells"]]
    frc_clean: Mapping[str, Float[np.ndarray, " shells"]]
    power: Mapping[str, Float[np.ndarray, " shells"]]
    warnings: Sequence[Alert] = field(default_factory=tuple)
    estimate: str = ""
    lpips_note: str = ""

    def sections(self) -> list[Section]:
        """Return the sections of the page."""
        head = Section("", [*self.warnings, KeyValues(self.facts), *self._pictures()])
        reading = [Prose(MOSTLY_NOISE), Prose(f"{THIS_IS.get(self.estimate, '')}{MEANING}")]
        scores = Section("Scores beside their floors", [self._scores(), *self._lpips_note(), *reading])
        clean = [Section("Against the clean image", self._clean())] if self.clean else []
        return [head, scores, *clean, Section("By resolution", self._shells())]

    def _pictures(self) -> list[Block]:
        if not self.examples:
            return []
        if self.estimate == "signal":
            return self._signals()
        columns = ["original", "least squares", "reconstruction", "difference"]
        with_clean = self.examples[0].clean is not None
        columns += ["clean"] if with_clean else []
        png = montage([_row(e, with_clean) for e in self.examples], columns)
        caption = (
            "One grey scale per row: black to white is the original's mean − 3 to mean + 3 standard deviations in each "
            "picture. Difference: reconstruction − original, the same width about zero."
        )
        return [Picture(png, "Originals, least squares, reconstructions and differences", caption, 180 * len(columns))]

    def _signals(self) -> list[Block]:
        """Return signals beside smoothed views of what was measured, and sliders of the first of them."""
        shown = [_signal_views(example) for example in self.examples]
        rows = [
            MontageRow(example.title, [own_grey(image) for image in views.values()], -3.0, 3.0)
            for example, views in zip(self.examples, shown, strict=True)
        ]
        names, wiped = list(shown[0]), ("original", "least squares", "signal")
        sliders = [
            Slider(example.title, {name: views[name] for name in wiped})
            for example, views in zip(self.examples[:WIPED], shown, strict=False)
        ]
        caption = "Each picture has its own grey scale, from its mean − 3 to its mean + 3 standard deviations."
        return [*sliders, Picture(montage(rows, names), "Signals beside smoothed views", caption, 150 * len(names))]

    def _scores(self) -> Table:
        order = ("reconstruction", "least_squares", "spectrum_noise", "constant")
        metrics = [metric for metric in METRICS.values() if metric.floors]
        rows = [[NAMES[name], *(_score(self.scores[name].get(m.name), m) for m in metrics)] for name in order]
        residual = self.scores["reconstruction"]["residual"]
        caption = f"{HOW_COMPUTED} Relative residual ‖Ax − y‖/‖y‖ of the reconstruction: {residual['mean']:.2g}."
        return Table(["", *(metric.heading for metric in metrics)], rows, caption, strong=(0,))

    def _lpips_note(self) -> list[Block]:
        return [Alert("LPIPS is not available", self.lpips_note, "note")] if self.lpips_note else []

    def _clean(self) -> list[Block]:
        of = METRICS["correlation"]
        rows = [
            [
                NAMES[key],
                _spread(part["correlation"] or 0.0, part["correlation_std"] or 0.0, of),
                METRICS["frc"].text(part["frc"] or 0.0),
                "never" if part["frc_half_angstrom"] is None else f"{part['frc_half_angstrom']:.1f} Å",
            ]
            for key, part in self.clean.items()
        ]
        caption = (
            "Correlation: mean ± standard deviation over particles, image means removed. FRC: one curve for all "
            "particles (numerators and denominators summed), its mean over shells weighted with their coefficients. "
            "The full noisy image is what was there before anything was compressed. Correlation rewards smoothing: the "
            "mean image knows no particle, and the low-pass (0.1 cycles per pixel) no prior. FRC does not."
        )
        png = shell_curves(self.resolution_angstrom, self.frc_clean, bottom=min(0.0, _lowest(self.frc_clean)), top=1)
        return [
            Table(["", of.heading, METRICS["frc"].heading, "FRC ≥ 0.5 to"], rows, caption, strong=(0,)),
            Picture(png, "Fourier ring correlation with the clean image by resolution", _frc_caption("clean"), 660),
        ]

    def _shells(self) -> list[Block]:
        bottom = min(0.0, _lowest(self.frc_original))
        correlation = shell_curves(self.resolution_angstrom, self.frc_original, bottom=bottom, top=1.02)
        ratio = shell_curves(self.resolution_angstrom, self.power, label="power / power of original", bottom=0, line=1)
        return [
            Picture(correlation, "Fourier ring correlation with the original", _frc_caption("original, noisy"), 660),
            Picture(
                ratio,
                "Power by shell relative to the original",
                "Power relative to the original image. A sample should stay near 1; a mean falls below it where little "
                "was measured, as it leaves out what it cannot know.",
                660,
            ),
        ]


def _signal_views(example: Example) -> dict[str, Float[np.ndarray, "box box"]]:
    measured = torch.from_numpy(example.least_squares)[None]
    plain = {name: view[0].numpy() for name, view in smoothed_views(measured).items()}
    views = {"original": example.original, "least squares": example.least_squares, **plain}
    clean = {} if example.clean is None else {"clean": example.clean}
    return {**views, "signal": example.reconstruction, **clean}


def _row(example: Example, with_clean: bool) -> MontageRow:
    low, high = grey_limits(example.original)
    difference = example.reconstruction - example.original
    images = [example.original, example.least_squares, example.reconstruction, difference]
    return MontageRow(example.title, [*images, example.clean] if with_clean else images, low, high, differences=(3,))


def _score(score: Score | None, metric: Metric) -> str:
    return "not available" if score is None else _spread(score["mean"], score["std"], metric)


def _spread(mean: float, deviation: float, metric: Metric) -> str:
    return f"{metric.text(mean)} ± {metric.text(deviation)}"


def _lowest(curves: Mapping[str, Float[np.ndarray, " shells"]]) -> float:
    return float(min(values[1:].min() for values in curves.values())) * 1.05


def _frc_caption(reference: str) -> str:
    return f"Fourier ring correlation with the {reference} image, summed over all particles."
