"""The pictures of two embeddings of the same particles: density, clusters, and how well these agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from cryoprior.report.figures import INK, LINE, QUIET, STYLES, new_figure, png_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS, SMOOTHING = 160, 2.2
LEVELS = (0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
MARGIN = 0.04
ORDER_SEED = 0


@dataclass(frozen=True)
class Colouring:
    """Classes of particles, by number, and the names that the legend gives them."""

    title: str
    classes: Int[np.ndarray, " n"]
    names: Sequence[str]


@dataclass(frozen=True)
class AgreementBars:
    """Agreement by cluster as fractions: medians, least and most over seeds, what chance gives, and the ceiling."""

    names: Sequence[str]
    median: Float[np.ndarray, " k"]
    low: Float[np.ndarray, " k"]
    high: Float[np.ndarray, " k"]
    ceiling: Float[np.ndarray, " k"]
    chance: Float[np.ndarray, " k"]
    overall: float
    ceiling_name: str


def plane(embedding: Float[np.ndarray, "n e"]) -> Float[np.ndarray, "n 2"]:
    """Return the embedding centred in two dimensions: as it is, its first principal axes, or with zeros beside one."""
    centred: np.ndarray = embedding - embedding.mean(0)
    if centred.shape[1] == 1:
        return np.concatenate([centred, np.zeros_like(centred)], 1)
    if centred.shape[1] == 2:
        return centred
    axes: np.ndarray = np.linalg.svd(centred, full_matrices=False)[2][:2]
    flat: np.ndarray = centred @ axes.T
    return flat


def turned_upon(moving: Float[np.ndarray, "n 2"], fixed: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Return centred points turned onto others of the same particles, and mirrored where that is nearer."""
    u, _, vh = np.linalg.svd(moving.T @ fixed)
    turned: np.ndarray = moving @ (u @ vh)
    return turned


def embedding_panels(embeddings: Mapping[str, Float[np.ndarray, "n 2"]], colourings: Sequence[Colouring]) -> bytes:
    """Return the embeddings side by side as PNG: their density with marginals, then once for each colouring."""
    rows = 1 + len(colourings)
    figure = new_figure(4.1 * len(embeddings), 4.1 * rows)
    grid = figure.add_gridspec(rows, len(embeddings), wspace=0.12, hspace=0.16)
    for j, (name, points) in enumerate(embeddings.items()):
        limits = _limits(points)
        _density(grid[0, j], points, limits, name)
        for i, colouring in enumerate(colourings, 1):
            axes = figure.add_subplot(grid[i, j])
            _scatter(axes, points, colouring)
            _frame(axes, limits)
            axes.set_title(f"{name}, by {colouring.title}", fontsize=9.5, color=INK)
            if j == len(embeddings) - 1:
                _legend(axes, colouring.names)
    return png_bytes(figure)


def confusion_picture(
    table: Int[np.ndarray, "rows columns"], rows: Sequence[str], columns: Sequence[str], row_label: str, label: str
) -> bytes:
    """Return a table of particles as PNG: every cell coloured and labelled by its share of its row."""
    share = 100 * table / np.maximum(table.sum(1, keepdims=True), 1)
    figure = new_figure(1.5 + 0.95 * len(columns), 1.2 + 0.72 * len(rows))
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (i, j), percent in np.ndenumerate(share):
        colour = "white" if percent > 55 else INK
        x, y = float(j), float(i)
        axes.text(x, y - 0.1, f"{percent:.1f} %", ha="center", va="center", color=colour, fontsize=10)
        axes.text(x, y + 0.23, f"{table[i, j]:,}", ha="center", va="center", color=colour, fontsize=7.5)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, labelsize=9, colors=INK)
    axes.set_xlabel(label, color=INK)
    axes.set_ylabel(row_label, color=INK)
    for spine in axes.spines.values():
        spine.set_color(LINE)
    return png_bytes(figure)


def agreement_bars(bars: AgreementBars) -> bytes:
    """Return agreement by cluster as PNG: bars of medians, whiskers from least to most, lines of ceiling and chance."""
    places = np.arange(len(bars.median))
    figure = new_figure(max(5.0, 1.1 * len(places) + 2.4), 3.4)
    axes = figure.subplots()
    colours = [STYLES[i % len(STYLES)]["color"] for i in places]
    axes.bar(places, 100 * np.nan_to_num(bars.median), width=0.62, color=colours, alpha=0.85)
    for place, median, low, high in zip(places, bars.median, bars.low, bars.high, strict=True):
        axes.plot([place, place], [100 * low, 100 * high], color=INK, linewidth=1.4, marker="_", markersize=9)
        axes.text(float(place), 4, f"{100 * median:.1f} %", ha="center", va="bottom", color="white", fontsize=10)
    for values, label, style in ((bars.ceiling, bars.ceiling_name, "-"), (bars.chance, "chance (shuffled)", ":")):
        axes.hlines(100 * values, places - 0.42, places + 0.42, color=INK, linewidth=1.8, linestyle=style, label=label)
    axes.axhline(100 * bars.overall, color=QUIET, linewidth=1.1, linestyle="--", label="all particles")
    axes.set_ylim(0, 104)
    axes.set_xticks(places, bars.names)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("agreement (%)", color=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return png_bytes(figure)


def _limits(points: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return a square window about all but the farthest points, as limits of x and y."""
    low, high = np.percentile(points, 0.05, axis=0), np.percentile(points, 99.95, axis=0)
    half = float((high - low).max()) * (0.5 + MARGIN) or 1.0
    x, y = ((float(c) - half, float(c) + half) for c in (low + high) / 2)
    return x, y


def _density(place: Any, points: np.ndarray, limits: tuple[tuple[float, float], ...], name: str) -> None:
    from scipy.ndimage import gaussian_filter

    inner = place.subgridspec(2, 2, width_ratios=(5, 1), height_ratios=(1, 5), wspace=0.03, hspace=0.03)
    figure = inner.figure
    axes = figure.add_subplot(inner[1, 0])
    counts, x, y = np.histogram2d(points[:, 0], points[:, 1], bins=BINS, range=limits)
    density = gaussian_filter(counts, SMOOTHING).T
    density /= density.max() or 1.0
    middle = [(edges[1:] + edges[:-1]) / 2 for edges in (x, y)]
    axes.pcolormesh(x, y, np.sqrt(density), cmap="Blues", vmin=0, vmax=1, rasterized=True)
    axes.contour(*middle, density, levels=LEVELS, colors=INK, linewidths=0.5, alpha=0.7)
    _frame(axes, limits)
    top, right = figure.add_subplot(inner[0, 0]), figure.add_subplot(inner[1, 1])
    top.fill_between(middle[0], gaussian_filter(counts.sum(1), SMOOTHING), color=STYLES[0]["color"], linewidth=0)
    right.fill_betweenx(middle[1], gaussian_filter(counts.sum(0), SMOOTHING), color=STYLES[0]["color"], linewidth=0)
    top.set_xlim(*limits[0])
    right.set_ylim(*limits[1])
    top.set_ylim(bottom=0)
    right.set_xlim(left=0)
    for beside in (top, right):
        beside.axis("off")
    top.set_title(f"{name}, density", fontsize=9.5, color=INK)


def _scatter(axes: Axes, points: np.ndarray, colouring: Colouring) -> None:
    """Draw the particles in random order, so that no class covers another."""
    order = np.random.default_rng(ORDER_SEED).permutation(len(points))
    colours = np.array([STYLES[i % len(STYLES)]["color"] for i in range(len(colouring.names))])
    size = float(np.clip(20000 / len(points), 0.6, 14))
    x, y = points[order].T
    axes.scatter(x, y, s=size, c=colours[colouring.classes[order]], alpha=0.6, linewidths=0, rasterized=True)


def _frame(axes: Axes, limits: tuple[tuple[float, float], ...]) -> None:
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(LINE)


def _legend(axes: Axes, names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        axes.scatter([], [], s=34, color=STYLES[i % len(STYLES)]["color"], label=name)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0), handletextpad=0.2)
