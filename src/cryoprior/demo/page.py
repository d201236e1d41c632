"""The page of ``demo``: what each method made of the same measurements, in pictures, numbers and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float

from cryoprior.report.figures import MontageRow, grey_limits, montage, shell_curves
from cryoprior.report.page import Alert, Block, KeyValues, Picture, Prose, Section, Table

ABSENT = "–"
LABEL_POINTS = 12.0
COLUMNS = {
    "correlation": ("Correlation ↑", "z.3f"),
    "gain": ("over least squares ↑", ""),
    "frc": ("FRC ↑", "z.3f"),
    "reach": ("FRC ≥ 0.5 to (Å) ↓", ".1f"),
    "ssim": ("SSIM ↑", "z.3f"),
    "psnr": ("PSNR (dB) ↑", ".2f"),
    "residual": ("Residual", ".0e"),
    "evaluations": ("Evaluations", "d"),
    "seconds": ("Seconds", ".2g"),
}
AGAINST_CLEAN = ("correlation", "gain", "frc", "reach", "evaluations", "seconds")
AGAINST_NOISY = ("ssim", "psnr", "residual")
ON_FEW = ("correlation", "gain", "frc", "ssim", "residual", "evaluations", "seconds")
MOSTLY_NOISE = (
    "A particle image is mostly noise: here the signal has a tenth of the noise's variance. SSIM and PSNR compare with "
    "the noisy original, so they mostly tell how much of the noise was measured, and no prior can predict the rest. "
    "What decides is the correlation, and the Fourier ring correlation (FRC), with the clean image, which only a "
    "simulation knows."
)
MEAN_OR_SAMPLE = (
    "The mean is the average of all images that fit the measurements: the best guess of every pixel, smooth because "
    "what cannot be known is left out, and the one to average further. A sample is one of those images: it has the "
    "texture of a recorded image, but its unmeasured part is invented, and another draw would invent another. Compare "
    "the mean with least squares and the Gaussian prior, and the sample of exact with the paper's sampler, which "
    "draws samples too. The signal is the particle without its noise: compare it with the Wiener signal, look at it "
    "beside its deviation, and make no map of it to measure resolution by."
)
HOW_CLEAN = (
    "Against the clean image, means over particles. Over least squares: mean of the differences in correlation, "
    "particle by particle, ± its standard error. FRC: numerators and denominators summed over particles, averaged over "
    "shells by their number of coefficients. Evaluations of the network, and seconds, for one image. The full noisy "
    "image is what was there before anything was compressed. A signal leaves out the noise, which the others have: "
    "compare it with the Wiener signal, which knows the prior's spectrum and mean image alone. Smoothing and the mean "
    "image, which knows no data, raise the correlation and not the FRC."
)
HOW_NOISY = (
    "Against the noisy original, means over particles, beside the floors. SSIM (uniform 7-pixel window) and PSNR: both "
    "images mapped to [0, 1] by the original's minimum and maximum. Residual: ‖Ax − y‖/‖y‖."
)


@dataclass(frozen=True)
class FileLinks:
    """A label with files: what each is and its path, relative to the page."""

    label: str
    files: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Links(KeyValues):
    """Labels with links to their files."""

    links: Sequence[FileLinks] = ()

    def html(self) -> str:
        return f"<dl>{''.join(map(self._line, self.links))}</dl>"

    @staticmethod
    def _line(link: FileLinks) -> str:
        anchors = (f'<a href="{escape(path)}">{escape(name)}</a>' for name, path in link.files)
        return f"<dt>{escape(link.label)}</dt><dd>{' · '.join(anchors)}</dd>"


MAP_LINK = Links((), [FileLinks("Map", [("report", "map/report.html"), ("map.mrc", "map/map.mrc")])])


@dataclass(frozen=True)
class ScoreRow:
    """The scores of one method, or of a floor: None where a score is not defined.

    correlation, frc: with the clean image; reach: the resolution in angstrom to which that FRC is at least a half.
    ssim, psnr: with the noisy original.
    gain: mean difference from least squares in correlation with the clean image, and its standard error.
    """

    title: str
    correlation: float | None = None
    gain: tuple[float, float] | None = None
    frc: float | None = None
    reach: float | None = None
    ssim: float | None = None
    psnr: float | None = None
    residual: float | None = None
    evaluations: int | None = None
    seconds: float | None = None

    def cells(self, columns: Sequence[str]) -> list[str]:
        """Return the texts of a table's row."""
        return [self.title, *map(self._cell, columns)]

    def _cell(self, column: str) -> str:
        value = getattr(self, column)
        if value is None:
            return ABSENT
        return f"{value[0]:+z.3f} ± {value[1]:.3f}" if column == "gain" else _number(value, COLUMNS[column][1])


@dataclass(frozen=True)
class PictureRow:
    """One particle: column title to image, (box, box), all in the grey scale of ``original``."""

    title: str
    original: Float[np.ndarray, "box box"]
    images: Mapping[str, Float[np.ndarray, "box box"]]


@dataclass(frozen=True)
class Study:
    """What one operator gave.

    facts: names and values of what was measured.
    scores: methods first, then floors; all over the same particles.
    few: scores of all methods on the particles of the paper's sampler; empty where it was not run.
    curves: name to Fourier ring correlation with the clean image, over the shells.
    links: label to names and paths, relative to the page, of what can be looked at further.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    pictures: Sequence[PictureRow]
    scores: Sequence[ScoreRow]
    few: Sequence[ScoreRow]
    few_particles: int
    resolution_angstrom: Float[np.ndarray, " shells"]
    curves: Mapping[str, Float[np.ndarray, " shells"]]
    links: Sequence[FileLinks]
    signals: Sequence[Block] = ()
    """Signals beside smoothed views, and what the check says of them."""


@dataclass(frozen=True)
class DemoPage:
    """All that the page shows; ``done`` says in three sentences what was done, ``map_says`` how good the map is."""

    done: str
    map_says: str
    facts: Sequence[tuple[str, str]]
    studies: Sequence[Study]
    links: Sequence[FileLinks]

    def sections(self) -> list[Section]:
        """Return the sections of the page."""
        head = Section("", [Prose(self.done), KeyValues(self.facts)])
        reading = Section(
            "How to read it",
            [
                Alert("What decides is the clean image", MOSTLY_NOISE, "note"),
                Alert("Mean or sample?", MEAN_OR_SAMPLE, "note"),
            ],
        )
        mapped = Section("A map", [Prose(f"Of the sums of pixels alone, with no prior: {self.map_says}."), MAP_LINK])
        return [head, reading, *map(_section, self.studies), mapped, Section("Files", [Links((), self.links)])]

    def overview(self) -> bytes:
        """Return the first particle as every study shows it, one row per study, as PNG."""
        rows = [PictureRow(s.title, s.pictures[0].original, s.pictures[0].images) for s in self.studies]
        return draw_pictures(rows)


@dataclass(frozen=True)
class WidePicture(Picture):
    """A picture that is moved sideways on a phone rather than shrunk until its labels cannot be read."""

    def html(self) -> str:
        shown = super().html().replace("<img ", '<img style="min-width: 52rem" ', 1)
        image, end, caption = shown.removeprefix("<figure>").partition(">")
        return f'<figure><div class="scroll">{image}{end}</div>{caption}'


def draw_pictures(rows: Sequence[PictureRow]) -> bytes:
    """Return a grid as PNG: one row per particle, one column per title in any of the rows, one grey scale for all."""
    columns = max((list(row.images) for row in rows), key=len)
    low, high = grey_limits(np.stack([row.original for row in rows]), deviations=2.5)
    drawn = [MontageRow(row.title, [row.images.get(name) for name in columns], low, high) for row in rows]
    return montage(drawn, columns, label_points=LABEL_POINTS)


def _section(study: Study) -> Section:
    caption = (
        "One grey scale for all pictures: black to white is the noisy originals' mean − 2.5 to mean + 2.5 standard "
        "deviations. The clean image is the truth; no method has seen it."
    )
    pictures = WidePicture(draw_pictures(study.pictures), f"{study.title}: the truth and every method", caption, 1048)
    curves = shell_curves(study.resolution_angstrom, study.curves, bottom=min(0.0, _lowest(study.curves)), top=1)
    blocks: list[Block] = [
        KeyValues(study.facts),
        Prose(_verdict(study.scores)),
        *study.signals,
        pictures,
        _table([row for row in study.scores if row.correlation is not None], AGAINST_CLEAN, HOW_CLEAN),
        *_few(study),
        Picture(
            curves,
            f"{study.title}: Fourier ring correlation with the clean image",
            "Fourier ring correlation with the clean image, summed over all particles. The full noisy image is what "
            "was there before anything was compressed.",
            660,
        ),
        _table([row for row in study.scores if row.ssim is not None], AGAINST_NOISY, HOW_NOISY),
        Links((), study.links),
    ]
    return Section(study.title, blocks)


def _few(study: Study) -> list[Block]:
    if not study.few:
        return []
    caption = (
        f"Scores over the first {study.few_particles} particles only: the paper's sampler takes many more evaluations "
        "per image. So few particles show its price and its look, not its rank."
    )
    return [_table(study.few, ON_FEW, caption, strong=())]


def _verdict(scores: Sequence[ScoreRow]) -> str:
    known = [row for row in scores if row.correlation is not None]
    ranked = sorted(known, key=lambda row: -(row.correlation or 0.0))
    return f"Correlation with the clean image: {', '.join(f'{row.title} {row.correlation:.3f}' for row in ranked)}."


def _table(rows: Sequence[ScoreRow], columns: Sequence[str], caption: str, strong: Sequence[int] = (0,)) -> Table:
    titles = [COLUMNS[name][0] for name in columns]
    return Table(["", *titles], [row.cells(columns) for row in rows], caption, strong)


def _number(value: float, form: str) -> str:
    return f"{value:.0f}" if form == ".2g" and value >= 10 else f"{value:{form}}"


def _lowest(curves: Mapping[str, Float[np.ndarray, " shells"]]) -> float:
    return float(min(values[1:].min() for values in curves.values())) * 1.05
