"""The outputs of a benchmark of images: tidy tables, Markdown tables, pictures and one page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from cryoprior.benchmark.images.cost_figure import PANELS, quality_against_cost
from cryoprior.benchmark.images.figures import GAINS, SCORE_NAMES, compression_figures, example_pictures, quality_of
from cryoprior.benchmark.images.sheet import Sheet
from cryoprior.benchmark.images.sheets import against_paper, paper_sheets, score_sheets, signal_sheets
from cryoprior.benchmark.images.storage import storage_sheet
from cryoprior.benchmark.images.unmeasured import unmeasured_sheet
from cryoprior.benchmark.images.verdicts import comparison_sheets, cost_sheet, downstream_sheet, operating_sheet
from cryoprior.benchmark.operating_point import operating_points
from cryoprior.evaluation.page import MEANING, MOSTLY_NOISE
from cryoprior.report.page import Block, KeyValues, Picture, Prose, Section, write_page

COSTS = {"evaluations": "forward evaluations of the network", "seconds": "seconds per image"}
PICTURES = {"images": "Images", "cost": "Quality against cost", "compression": "Quality against compression"}
PAGE_WIDTH = 984  # CSS pixels
HOW = (
    "Every number is a mean over particles and seeds, ± its standard deviation over seeds where there are several. "
    "SSIM, PSNR and LPIPS compare with the recorded image, as cryoprior evaluate does: SSIM and PSNR on [0, 1] by the "
    "original's minimum and maximum, LPIPS by AlexNet. FRC is pooled over particles. C is the nominal compression, as "
    "in the paper; the effective one counts independent numbers."
)


@dataclass(frozen=True)
class ImageTable:
    """All numbers of a benchmark of images, and the images that are shown.

    rows: one for each (cell, method, seed), the full noisy images with an empty cell; ``operating_points`` and the
        tables name the columns that they read. Empty texts are "", unknown numbers NaN.
    pairs: one for each comparison of two methods in a cell, with paired standard errors.
    unmeasured: what ``unmeasured_lines`` yields; empty where it was not asked for.
    examples: cell to column title to image; ``original`` gives the grey scale.
    facts: names and values of what was compared: particles, box, prior, device.
    published: the paper's figures: mask, compression, lpips, ssim.
    downstream: what ``downstream_sheet`` takes.
    headline: methods whose scores are also arranged as in the paper.
    panels: cells in the figures of cost, at most six; if empty, those of ``examples``, or else the first ones.
    lines: methods, controls and floors in the figures by compression; chosen automatically if empty.
    """

    title: str
    rows: pd.DataFrame
    pairs: pd.DataFrame
    examples: Mapping[str, Mapping[str, Float[np.ndarray, "box box"]]]
    facts: Sequence[tuple[str, str]]
    unmeasured: pd.DataFrame = field(default_factory=pd.DataFrame)
    published: pd.DataFrame | None = None
    downstream: Sequence[Mapping[str, Any]] | None = None
    headline: tuple[str, ...] = ()
    panels: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return every row, every comparison and the operating points; what is unknown is None."""
        points = operating_points(self.rows)
        frames = {"rows": self.rows, "pairs": self.pairs, "operating_points": points}
        frames |= {"unmeasured": self.unmeasured} if len(self.unmeasured) else {}
        return {"title": self.title, **{k: json.loads(v.to_json(orient="records")) for k, v in frames.items()}}

    def write(self, folder: Path) -> None:
        """Write rows.csv, pairs.csv, unmeasured.csv, table.md, the pictures and report.html."""
        self.rows.to_csv(folder / "rows.csv", index=False, float_format="%.6g")
        for name, lines in (("pairs", self.pairs), ("unmeasured", self.unmeasured)):
            (folder / f"{name}.csv").unlink(missing_ok=True)
            if len(lines):
                lines.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
        (folder / "table.md").write_text(self.markdown(), encoding="utf-8")
        pictures = dict(self._pictures())
        for name, picture in pictures.items():
            (folder / f"{name}.png").write_bytes(picture.png)
        write_page(folder / "report.html", self.title, list(self._sections(pictures)))

    def markdown(self) -> str:
        """Return all tables as Markdown."""
        facts = "\n".join(f"- {name}: {value}" for name, value in self.facts)
        parts = [f"# {self.title}\n", f"{facts}\n", f"{MOSTLY_NOISE}\n", f"{MEANING}\n", f"{HOW}\n"]
        for heading, sheets in self._tables():
            parts += [f"## {heading}\n", *(sheet.markdown() for sheet in sheets)]
        return "\n".join(parts)

    def _tables(self) -> Iterator[tuple[str, list[Sheet]]]:
        """Yield each part of the report with its tables, parts without a table left out."""
        parts = {
            "Comparisons": list(comparison_sheets(self.pairs)) if len(self.pairs) else [],
            "Where nothing was measured": [unmeasured_sheet(self.unmeasured)] if len(self.unmeasured) else [],
            "Signal": list(signal_sheets(self.rows)),
            "Storage": [sheet for sheet in (storage_sheet(self.rows),) if sheet is not None],
            "Cost": [cost_sheet(self.rows)],
            "LPIPS and SSIM": list(score_sheets(self.rows, self.published)),
            "Against the paper": list(against_paper(self.rows, self.published)),
            "Operating points": [operating_sheet(self.rows)],
            "As the paper arranges it": list(paper_sheets(self.rows, self.published, self.headline)),
            "Downstream": [downstream_sheet(self.downstream)] if self.downstream else [],
        }
        yield from ((heading, sheets) for heading, sheets in parts.items() if sheets)

    def _pictures(self) -> Iterator[tuple[str, Picture]]:
        """Yield the name of each picture with it; names begin with cost, compression or images."""
        quality = SCORE_NAMES[quality_of(self.rows)]
        for cost, words in COSTS.items():
            shown = f"{quality}, its {GAINS[quality_of(self.rows)].split(' ', 1)[1]} on the same particles"
            caption = f"{shown}, against {words}, means over seeds. Dashed lines: controls of equal size, full image."
            png = quality_against_cost(self.rows, self._panels(), cost)
            yield f"cost-{cost}", Picture(png, caption, caption, PAGE_WIDTH)
        for heading, png in compression_figures(self.rows, self.lines):
            caption = f"{quality} against compression, {heading}, means over seeds. Grey: controls and floors."
            yield f"compression-{_slug(heading)}", Picture(png, caption, caption, PAGE_WIDTH)
        for cell, images in self.examples.items():
            for i, png in enumerate(example_pictures(cell, images), 1):
                caption = f"{cell}, one particle, every image on the original's grey scale."
                yield f"images-{_slug(cell)}-{i}", Picture(png, caption, caption if i == 1 else "", PAGE_WIDTH)

    def _panels(self) -> list[str]:
        cells = self.rows[self.rows["cell"] != ""]["cell"]
        return list(self.panels or self.examples or dict.fromkeys(cells))[:PANELS]

    def _sections(self, pictures: Mapping[str, Picture]) -> Iterator[Section]:
        yield Section("", [KeyValues(self.facts), Prose(MOSTLY_NOISE), Prose(MEANING)])
        for kind, title in PICTURES.items():
            shown = [picture for name, picture in pictures.items() if name.startswith(kind)]
            if shown:
                yield Section(title, shown)
        for heading, sheets in self._tables():
            blocks: list[Block] = [table for sheet in sheets for table in sheet.blocks()]
            yield Section(heading, blocks)
        yield Section("How scores are computed", [Prose(HOW)])


def _slug(text: str) -> str:
    """Return the text as part of a file name: lower-case letters, digits, points and hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower().replace("=", "")).strip("-")
