"""The figure of quality against cost per image, for a benchmark of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cryoprior.benchmark.images.figures import GAINS, GREY, colours_of, panels_of, quality_of, with_palette
from cryoprior.benchmark.images.point_labels import Label, place_labels
from cryoprior.benchmark.images.sheets import FULL
from cryoprior.report.figures import INK, LINE, QUIET, png_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = 6
CONTROL_LINE: dict[str, Any] = {"linewidth": 0.9, "linestyle": (0, (4, 2))}
COST_NAMES = {"evaluations": "forward network evaluations per image", "seconds": "seconds per image"}


def quality_against_cost(rows: pd.DataFrame, cells: Sequence[str], cost: str) -> bytes:
    """Return a figure of quality against cost per image as PNG, one panel per cell.

    Quality is the score minus that of least squares on the same particles, so that methods with few particles share
    the axis. Means are filled circles, samples open ones, other methods squares; controls of equal size are grey
    lines, and so is the full image where clean ones are known. A cost of 0 has a place of its own left of the axis.

    Parameters
    ----------
    rows: the rows of a benchmark of images. cells: at most six cells.
    cost: ``evaluations`` or ``seconds``.
    """
    score = quality_of(rows)
    chosen = over_least_squares(rows, cells, score)
    means = chosen.groupby(["cell", "method", "kind", "estimate"], sort=False)[[score, cost]].mean().reset_index()
    colours = colours_of(list(dict.fromkeys(means[means["kind"] == "method"]["method"])))
    figure, panels = panels_of(cells, 2, 6.2, 3.9, 0.42)
    scale = CostAxis.of(means[means["kind"] == "method"][cost])
    for axes, cell in zip(panels, cells, strict=True):
        here = means[means["cell"] == cell].dropna(subset=[score])
        scale.draw(axes, COST_NAMES[cost])
        axes.set_ylabel(GAINS[score], color=INK)
        _cost_panel(axes, here, (score, cost), scale.left, colours)
    _cost_legend(figure, panels[0])
    return with_palette(png_bytes(figure))


def over_least_squares(rows: pd.DataFrame, cells: Sequence[str], score: str) -> pd.DataFrame:
    """Return the rows of these cells and of the full image, with gains over least squares in place of scores."""
    parts, full = [], rows[(rows["cell"] == "") & (rows["kind"] != "storage")]
    for cell in cells:
        here = rows[rows["cell"] == cell]
        whole = here[here["n"] == here["n"].max()].iloc[0]
        level = whole[score] - whole[f"{score}_gain"]  # score of least squares
        reference = (
            full.assign(cell=cell, **{f"{score}_gain": full[score] - level}) if score == "frc" else full.iloc[:0]
        )
        parts += [here, reference]
    chosen = pd.concat(parts)
    return chosen.assign(**{score: chosen[f"{score}_gain"]})


def _cost_panel(
    axes: Axes, rows: pd.DataFrame, columns: tuple[str, str], left: float, colours: Mapping[str, str]
) -> None:
    """Draw the methods of a cell as points, and controls and the full image as grey lines, all with their names."""
    score, cost = columns
    references = rows[rows["kind"] == "control"]
    points = rows[(rows["kind"] == "method") & rows[cost].notna()]
    levels = [*points[score], *references[score]]
    margin = 0.09 * max(max(levels) - min(levels), 1e-3)
    axes.set_ylim(min(levels) - margin, max(levels) + margin)
    labels = []
    for row in points.to_dict("records"):
        x, colour = max(row[cost], left), colours[row["method"]]
        face = "white" if row["estimate"] == "sample" else colour
        marker = "o" if row["estimate"] in ("mean", "sample") else "s"
        axes.plot(x, row[score], marker, markersize=6.5, markerfacecolor=face, markeredgecolor=colour, clip_on=False)
        labels.append(Label(float(x), float(row[score]), str(row["method"]), colour))
    for row in references.to_dict("records"):
        axes.axhline(row[score], color=INK if row["method"] == FULL else GREY, zorder=1, **CONTROL_LINE)
    _name_levels(axes, [(float(row[score]), str(row["method"])) for row in references.to_dict("records")])
    if labels:
        place_labels(axes, labels)


def _name_levels(axes: Axes, levels: Sequence[tuple[float, str]], gap: float = 0.052) -> None:
    """Write the names of horizontal lines right of the axes, pushed apart where they would overlap."""
    bottom, top = axes.get_ylim()
    floor = -1.0
    for level, name in sorted(levels):
        at = (level - bottom) / (top - bottom)
        floor = max(at, floor + gap)
        axes.annotate(
            name, (1.0, at), (1.03, floor), xycoords="axes fraction", textcoords="axes fraction", fontsize=7.5,
            va="center", color=INK if name == FULL else QUIET, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": LINE, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 0},
        )  # fmt: skip


@dataclass(frozen=True)
class CostAxis:
    """A logarithmic axis from ``left`` to ``right``; left is the place of a cost of 0, if there is one."""

    left: float
    right: float
    has_zero: bool

    @classmethod
    def of(cls, costs: pd.Series) -> CostAxis:
        """Return the axis of these costs; 0 lies a decade below the decade of the least other cost."""
        positive = costs[costs > 0]
        least, most = (positive.min(), positive.max()) if len(positive) else (1.0, 1.0)
        decade, has_zero = 10 ** np.floor(np.log10(least)), bool((costs == 0).any())
        return cls(float(decade / 10 if has_zero else decade), float(most) * 3, has_zero)

    def draw(self, axes: Axes, label: str) -> None:
        """Mark the horizontal axis."""
        axes.set_xscale("log")
        axes.minorticks_off()
        decades = np.arange(np.log10(self.left) + self.has_zero, np.log10(self.right) + 1e-9)
        names = [f"{10**decade:g}" for decade in decades]
        if self.has_zero:
            axes.axvline(self.left * 10**0.5, color=LINE, linewidth=0.9, linestyle=":", zorder=0)
            decades, names = np.array([np.log10(self.left), *decades]), ["0", *names]
        axes.set_xticks(10**decades, names)
        axes.set_xlim(self.left / 2, self.right)
        axes.set_xlabel(f"{label} (logarithmic{', 0 apart' * self.has_zero})", color=INK)


def _cost_legend(figure: Figure, first: Axes) -> None:
    """Write above the first panel what the marks mean."""
    from matplotlib.lines import Line2D

    looks: list[dict[str, Any]] = [
        {"label": "mean", "marker": "o", "markerfacecolor": INK},
        {"label": "sample", "marker": "o", "markerfacecolor": "white"},
        {"label": "neither (least squares, sparse)", "marker": "s", "markerfacecolor": INK},
    ]
    handles = [Line2D([], [], linestyle="none", markersize=6.5, markeredgecolor=INK, **look) for look in looks]
    handles.append(Line2D([], [], color=GREY, label="control of equal size", **CONTROL_LINE))
    look = {"ncols": 4, "frameon": False, "fontsize": 9, "borderaxespad": 0, "columnspacing": 1.4}
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.03, 1.12), bbox_transform=first.transAxes, **look
    )
