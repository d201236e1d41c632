"""Pictures of atomic models: traces seen along three axes, how confident they are, and how well chains agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from cryoprior.report.figures import INK, LINE, QUIET, STYLES, new_figure, png_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BOND_ANGSTROM, LONG_BOND_ANGSTROM = 4.5, 8.0
"""Farther apart, two C-alphas (two phosphates) in a row are not joined by a line."""
VIEWS = ((0, 1, 2, "along z"), (0, 2, 1, "along y"), (1, 2, 0, "along x"))
BINS = [2.5 * i for i in range(41)]
COLOUR_MAP = "viridis"
COLOURS = tuple(str(STYLES[i]["color"]) for i in (0, 1))

Trace = Float[np.ndarray, "_ 3"]


@dataclass(frozen=True)
class ModelTrace:
    """A model's name, the trace of each chain in angstrom (x, y, z), and the confidence along each, NaN if unknown."""

    name: str
    chains: Sequence[Trace]
    confidence: Sequence[Float[np.ndarray, " _"]]

    def segments(self) -> tuple[Float[np.ndarray, "s 2 3"], Float[np.ndarray, " s"]]:
        """Return the lines between neighbours in a chain and the mean confidence of their ends."""
        lines, values = [np.empty((0, 2, 3))], [np.empty(0)]
        for trace, confidence in zip(self.chains, self.confidence, strict=True):
            ends = np.stack([trace[:-1], trace[1:]], 1)
            length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
            usual = np.nanmedian(length) if np.isfinite(length).any() else 0.0
            near = length < (BOND_ANGSTROM if usual < BOND_ANGSTROM else LONG_BOND_ANGSTROM)
            lines.append(ends[near])
            values.append(((confidence[:-1] + confidence[1:]) / 2)[near])
        return np.concatenate(lines), np.concatenate(values)


def model_traces(models: Sequence[ModelTrace]) -> bytes:
    """Return the traces of one or two models seen along z, y and x as PNG.

    A row for each model, coloured by confidence (grey where it has none), and below two of them a row with both, the
    first blue, the second orange. All rows have one scale.
    """
    drawn = [model.segments() for model in models]
    rows = len(models) + (len(models) > 1)
    figure = new_figure(9.6, 3.2 * rows)
    grid = figure.subplots(rows, 3, squeeze=False, gridspec_kw={"wspace": 0.03, "hspace": 0.06})
    limits = _limits([lines for lines, _ in drawn])
    for row, (model, (lines, values)) in enumerate(zip(models, drawn, strict=True)):
        _draw_row(grid[row], lines, limits, array=values)
        grid[row][0].set_ylabel(model.name, color=INK, fontsize=10)
    if len(models) > 1:
        colours = np.repeat(COLOURS[: len(models)], [len(lines) for lines, _ in drawn])
        _draw_row(grid[-1], np.concatenate([lines for lines, _ in drawn]), limits, colors=colours)
        grid[-1][0].set_ylabel("both", color=INK, fontsize=10)
        for i, model in enumerate(models):
            grid[-1][0].plot([], [], color=COLOURS[i], label=model.name, linewidth=2)
        grid[-1][0].legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(-0.02, -0.01), ncol=2)
    for axes, (_, _, _, title) in zip(grid[0], VIEWS, strict=True):
        axes.set_title(title, fontsize=9.5, color=QUIET, pad=4)
    _colour_bar(figure, grid)
    return png_bytes(figure)


def confidence_histogram(models: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Return how the confidence of models is distributed over their atoms as PNG, the means marked.

    Parameters
    ----------
    models: name to the confidence of every residue, 0 to 100, and its number of atoms.
    """
    figure = new_figure(6.6, 3.3)
    axes = figure.subplots()
    for i, (name, (confidence, atoms)) in enumerate(models.items()):
        mean, weights = float(np.average(confidence, weights=atoms)), atoms / atoms.sum()
        colour = COLOURS[i % 2]
        axes.hist(confidence, BINS, weights=weights, histtype="stepfilled", color=colour, alpha=0.3)
        axes.hist(confidence, BINS, weights=weights, histtype="step", color=colour, linewidth=1.6)
        style = STYLES[i % 2]["linestyle"]
        axes.axvline(mean, color=colour, linestyle=style, linewidth=1.6, label=f"{name}: mean {mean:.1f}")
    axes.set_xlim(0, 100)
    axes.set_xlabel("ModelAngelo's confidence", color=INK)
    axes.set_ylabel("share of atoms", color=INK)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    _finish(axes)
    return png_bytes(figure)


def pair_distributions(rmsd: np.ndarray, score: np.ndarray, identity: np.ndarray) -> bytes:
    """Return backbone RMSD and alignment score of pairs of chains as boxes with points, and RMSD over identity, as PNG.

    Parameters
    ----------
    rmsd: in angstrom, (pairs,); score, identity (0 to 1): of the same pairs.
    """
    figure = new_figure(9.2, 3.2)
    left, middle, right = figure.subplots(1, 3, gridspec_kw={"wspace": 0.34, "width_ratios": [1, 1, 1.6]})
    for axes, values, label, colour in (
        (left, rmsd, "backbone RMSD (Å)", COLOURS[0]),
        (middle, score, "alignment score", COLOURS[1]),
    ):
        _box(axes, values, colour)
        axes.set_ylabel(label, color=INK)
        axes.set_title(f"mean {values.mean():.3g}", fontsize=9.5, color=QUIET)
    left.set_ylim(bottom=0)
    right.scatter(100 * identity, rmsd, s=20, color=COLOURS[0], alpha=0.7, linewidths=0)
    right.set_xlabel("sequence identity (%)", color=INK)
    right.set_ylabel("backbone RMSD (Å)", color=INK)
    right.set_ylim(bottom=0)
    _finish(right)
    return png_bytes(figure)


def _box(axes: Axes, values: np.ndarray, colour: str) -> None:
    axes.boxplot(
        values,
        widths=0.5,
        showfliers=False,
        medianprops={"color": INK},
        boxprops={"color": QUIET},
        whiskerprops={"color": QUIET},
        capprops={"color": QUIET},
    )
    aside = 1 + 0.16 * np.sin(2.4 * np.arange(len(values)))  # spread over the box, the same every time
    axes.scatter(aside, values, s=14, color=colour, alpha=0.7, linewidths=0, zorder=3)
    axes.set_xticks([])
    _finish(axes)


def _draw_row(row: Sequence[Axes], lines: np.ndarray, limits: tuple[np.ndarray, float], **colour: Any) -> None:
    """Draw lines along three axes, the near ones over the far ones."""
    from matplotlib.collections import LineCollection

    centre, half = limits
    for axes, (x, y, depth, _) in zip(row, VIEWS, strict=True):
        order = np.argsort(lines[:, :, depth].mean(1), kind="stable")
        values = {key: value[order] for key, value in colour.items()}
        drawn = LineCollection(list(lines[order][:, :, [x, y]]), linewidths=1.25, capstyle="round", **values)
        if "array" in colour:
            drawn.set(cmap=_colour_map(), clim=(0, 100))
        axes.add_collection(drawn)
        axes.set(
            xlim=(centre[x] - half, centre[x] + half),
            ylim=(centre[y] - half, centre[y] + half),
            aspect="equal",
            xticks=[],
            yticks=[],
        )
        for spine in axes.spines.values():
            spine.set_color(LINE)


def _limits(lines: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """Return the centre of all lines and half the side of a cube around them, with a margin."""
    points = np.concatenate([part.reshape(-1, 3) for part in lines])
    if not len(points):
        return np.zeros(3), 1.0
    low, high = points.min(0), points.max(0)
    return (low + high) / 2, 0.53 * float((high - low).max()) + 1


def _colour_map() -> Any:
    from matplotlib import colormaps

    return colormaps[COLOUR_MAP].with_extremes(bad=QUIET)


def _colour_bar(figure: Any, grid: Any) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    scale = ScalarMappable(Normalize(0, 100), _colour_map())
    bar = figure.colorbar(scale, ax=list(grid.ravel()), fraction=0.02, pad=0.015, aspect=40)
    bar.set_label("confidence", color=INK)
    bar.outline.set_visible(False)


def _finish(axes: Axes) -> None:
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
