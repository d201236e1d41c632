"""Figures as PNG bytes: arrays in, pictures out. Matplotlib is imported when a figure is made, and never shown."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cryoprior.report.legends import legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, LINE = "#1b1f24", "#5a6470", "#d9dee4"
# colours that stay apart for colour-blind readers, and dashes that stay apart in print
STYLES = (
    {"color": "#0b5fa5", "linestyle": "-", "linewidth": 2.2},
    {"color": "#d4691e", "linestyle": "--", "linewidth": 1.9},
    {"color": "#2a8a5f", "linestyle": "-.", "linewidth": 1.9},
    {"color": "#8b4a9c", "linestyle": ":", "linewidth": 2.2},
    {"color": "#5a6470", "linestyle": "-", "linewidth": 1.2},
    {"color": "#a1121f", "linestyle": (0, (6, 2, 1, 2, 1, 2)), "linewidth": 1.7},
    {"color": "#3fa7c9", "linestyle": (0, (8, 2)), "linewidth": 1.7},
    {"color": "#b8921a", "linestyle": (0, (3, 1)), "linewidth": 1.9},
    {"color": "#d46a9a", "linestyle": (0, (1, 1)), "linewidth": 2.0},
    {"color": "#6b4423", "linestyle": (0, (8, 2, 1, 2)), "linewidth": 1.6},
)


@dataclass(frozen=True)
class MontageRow:
    """Pictures of one particle, (box, box) each; all have one grey scale, differences have it about zero.

    ``differences`` are the positions of difference pictures; None in ``images`` leaves a place empty.
    """

    title: str
    images: Sequence[np.ndarray | None]
    low: float
    high: float
    differences: Sequence[int] = ()

    def limits(self, position: int) -> tuple[float, float]:
        """Return the grey values drawn black and white at a position."""
        half = (self.high - self.low) / 2
        return (-half, half) if position in self.differences else (self.low, self.high)


def grey_limits(image: np.ndarray, deviations: float = 3.0) -> tuple[float, float]:
    """Return the grey values drawn black and white: mean minus and plus ``deviations`` standard deviations."""
    mean, spread = float(image.mean()), float(image.std())
    return mean - deviations * spread, mean + deviations * spread


def montage(rows: Sequence[MontageRow], columns: Sequence[str], label_points: float = 9.0) -> bytes:
    """Return a grid of pictures, one row per particle, as PNG; ``label_points`` is the size of the titles."""
    return png_bytes(montage_figure(rows, columns, label_points))


def montage_figure(rows: Sequence[MontageRow], columns: Sequence[str], label_points: float = 9.0) -> Figure:
    """Return a grid of pictures, one row per particle; ``label_points`` is the size of the titles."""
    side = 1.75
    figure = new_figure(side * len(columns) + 0.35, side * len(rows) + 0.3)
    grid = figure.subplots(len(rows), len(columns), squeeze=False, gridspec_kw={"wspace": 0.04, "hspace": 0.04})
    for i, row in enumerate(rows):
        for j, name in enumerate(columns):
            axes, image = grid[i][j], row.images[j]
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_visible(False)
            if image is not None:
                low, high = row.limits(j)
                axes.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
            if i == 0:
                axes.set_title(name, fontsize=label_points, color=INK, pad=5)
        grid[i][0].set_ylabel(row.title, fontsize=label_points - 0.5, color=QUIET, labelpad=4)
    return figure


def shell_curves(
    resolution_angstrom: np.ndarray,
    curves: Mapping[str, np.ndarray],
    label: str = "Fourier ring correlation",
    bottom: float | None = None,
    top: float | None = None,
    line: float | Sequence[float] = (),
) -> bytes:
    """Return what :func:`shell_figure` draws, as PNG."""
    return png_bytes(shell_figure(resolution_angstrom, curves, label, bottom, top, line))


def shell_figure(
    resolution_angstrom: np.ndarray,
    curves: Mapping[str, np.ndarray],
    label: str = "Fourier ring correlation",
    bottom: float | None = None,
    top: float | None = None,
    line: float | Sequence[float] = (),
) -> Figure:
    """Return curves over the resolution of their shells, with a legend below them.

    Parameters
    ----------
    resolution_angstrom: of every shell, (shells,); shell 0, infinite, is left out.
    curves: name to values, (shells,).
    bottom, top: limits of the vertical axis; from the data where None.
    line: a level, or several such as 0.143 and 0.5, drawn thin across the figure.
    """
    figure = new_figure(6.6, 3.7)
    axes = figure.subplots()
    frequency = 1 / resolution_angstrom[1:]
    for (name, values), style in zip(curves.items(), line_styles(len(curves)), strict=True):
        axes.plot(frequency, values[1:], label=name, **style)
    for level in (line,) if isinstance(line, int | float) else line:
        axes.axhline(level, color=QUIET, linewidth=0.8)
    axes.set_xlim(0, float(frequency[-1]))
    axes.set_ylim(bottom, top)
    axes.set_ylabel(label, color=INK)
    resolution_axis(axes, float(frequency[-1]))
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    legend_below(axes)
    return figure


def resolution_axis(axes: Axes, highest: float) -> None:
    """Mark the horizontal axis, linear in frequency up to ``highest`` (1 / angstrom), with resolutions in angstrom."""
    ticks = np.linspace(0, highest, 6)[1:]
    axes.set_xticks(ticks, [f"{1 / f:.3g}" for f in ticks])
    axes.set_xlabel("resolution (Å), linear in spatial frequency", color=INK)


def line_styles(n: int) -> list[dict[str, Any]]:
    """Return the styles of n lines; the first ten stay apart."""
    return [dict(STYLES[i % len(STYLES)]) for i in range(n)]


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def png_bytes(figure: Figure) -> bytes:
    """Return a figure as PNG, cropped to what is drawn, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, bbox_inches="tight", pad_inches=0.05, metadata={"Software": None})
    return buffer.getvalue()
