"""Figures of a benchmark of images: quality against compression, the images themselves, and what figures share."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from cryoprior.benchmark.images.sheets import families
from cryoprior.report.figures import (
    INK,
    LINE,
    QUIET,
    MontageRow,
    grey_limits,
    line_styles,
    montage,
    new_figure,
    png_bytes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

GREY = "#8a939d"
LINES, GREY_LINES, PICTURES = 10, 4, 7
TITLE = 19  # characters of a title above a picture
COLOURS = 128  # in a PNG
ESTIMATE_ORDER = ("mean", "least-squares", "sparse", "sample")
SCORE_NAMES = {"frc": "FRC with the clean image", "ssim": "SSIM with the recorded image"}


GAINS = {"frc": "FRC gain over least squares", "ssim": "SSIM gain over least squares"}


def quality_of(rows: pd.DataFrame) -> str:
    """Return the score that figures show: frc where clean images are known, else ssim."""
    return "frc" if rows["frc"].notna().any() else "ssim"


def quality_against_compression(rows: pd.DataFrame, lines: Sequence[str] = ()) -> bytes:
    """Return a figure of quality against compression as PNG, one panel per kind of mask and one line per method.

    Parameters
    ----------
    rows: the rows of one variant of a series of masks.
    lines: the methods, floors and controls to draw, at most ten; if empty, means first, then the other methods and
        samples, beside at most four controls and floors. Controls and floors are grey.
    """
    score = quality_of(rows)
    rows = rows[rows["n"] == rows["n"].max()]
    names, greys = _chosen_lines(rows, lines)
    styles = _line_looks(names, greys)
    masks = list(dict.fromkeys(rows["mask"]))
    means = rows.groupby(["mask", "method", "compression"], sort=False)[score].mean().dropna().reset_index()
    figure, panels = panels_of(masks, 3, 4.0, 3.1)
    for axes, mask in zip(panels, masks, strict=True):
        here = means[means["mask"] == mask]
        for name, style in styles.items():
            line = here[here["method"] == name].sort_values("compression")
            axes.plot(line["compression"], line[score], label=name, **style)
        axes.set_xscale("log")
        axes.minorticks_off()
        ticks = sorted(here["compression"].unique())
        sizes = rows[rows["mask"] == mask].groupby("compression")["bytes_per_particle"].max()
        axes.set_xticks(ticks, [f"{tick:.3g}×\n{sizes[tick]:,.0f}" for tick in ticks])
        axes.set_xlabel("compression (logarithmic), bytes a particle", color=INK)
        axes.set_ylabel(SCORE_NAMES[score], color=INK)
    handles, labels = panels[0].get_legend_handles_labels()
    edge = max(axes.get_position().x1 for axes in panels)
    look = {"frameon": False, "fontsize": 9, "handlelength": 3.4}
    figure.legend(handles, labels, loc="upper left", bbox_to_anchor=(edge + 0.01, 0.97), **look)
    return with_palette(png_bytes(figure))


def compression_figures(rows: pd.DataFrame, lines: Sequence[str] = ()) -> Iterator[tuple[str, bytes]]:
    """Yield the name of each variant of masks that has more than one compression, with its figure."""
    for heading, family in families(rows):
        if (family.groupby("mask")["compression"].nunique() > 1).any():
            yield heading, quality_against_compression(family, lines)


def example_pictures(cell: str, images: Mapping[str, Float[np.ndarray, "box box"]]) -> Iterator[bytes]:
    """Yield the images of a cell side by side as PNG, seven at most in each, all on the original's grey scale."""
    low, high = grey_limits(images["original"])
    titles = list(images)
    bands = -(-len(titles) // PICTURES)
    across = -(-len(titles) // bands)
    for start in range(0, len(titles), across):
        shown = titles[start : start + across]
        blank = across - len(shown)
        row = MontageRow(cell, [*(images[title] for title in shown), *[None] * blank], low, high)
        names = ["\n".join(wrap(title, TITLE)) for title in shown]
        yield _in_grey(montage([row], [*names, *[""] * blank]))


def panels_of(
    titles: Sequence[str], most: int, width: float, height: float, gap: float = 0.3
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels, one per title, at most ``most`` side by side; ``gap`` is in panel widths."""
    across = min(most, len(titles))
    down = -(-len(titles) // across)
    figure = new_figure(width * across, height * down)
    grid = figure.subplots(down, across, squeeze=False, gridspec_kw={"wspace": gap, "hspace": 0.4})
    panels = list(grid.flat)
    for axes in panels[len(titles) :]:
        axes.remove()
    for axes, title in zip(panels, titles, strict=False):
        axes.set_title(title, fontsize=10, color=INK, loc="left")
        axes.grid(axis="y", color=LINE, linewidth=0.7)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.subplots_adjust(left=0.07, right=0.97, top=0.94, bottom=0.1)
    return figure, panels[: len(titles)]


def _chosen_lines(rows: pd.DataFrame, lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the methods, and the controls and floors, that are drawn."""
    kinds = dict(zip(rows["method"], rows["kind"], strict=True))
    estimates = dict(zip(rows["method"], rows["estimate"], strict=True))
    if lines:
        asked = [name for name in lines if name in kinds][:LINES]
        return [n for n in asked if kinds[n] == "method"], [n for n in asked if kinds[n] != "method"]
    greys = [name for kind in ("control", "floor") for name in kinds if kinds[name] == kind][:GREY_LINES]
    methods = [name for name in kinds if kinds[name] == "method"]
    methods.sort(key=lambda name: ESTIMATE_ORDER.index(estimates[name]))
    return methods[: LINES - len(greys)], greys


def _line_looks(names: Sequence[str], greys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return how each line is drawn: methods in colour, controls and floors in grey."""
    colours = [style for style in line_styles(LINES) if style["color"] != QUIET]
    dashes = ("-", "--", ":", "-.")
    looks = {
        name: {**colours[i % len(colours)], "marker": "osD^vPX*ph"[i % 10], "markersize": 5.5, "zorder": 3}
        for i, name in enumerate(names)
    }
    for i, name in enumerate(greys):
        looks[name] = {"color": GREY, "linewidth": 1.2, "linestyle": dashes[i % 4], "marker": ".", "zorder": 2}
    return looks


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for each name; up to nine differ."""
    colours = [style["color"] for style in line_styles(LINES) if style["color"] != QUIET]
    return {str(name): colours[i % len(colours)] for i, name in enumerate(names)}


def with_palette(png: bytes) -> bytes:
    """Return a drawing with a palette, about a quarter as large; the same bytes for the same drawing."""
    from PIL import Image

    drawing = Image.open(io.BytesIO(png)).convert("RGB")
    return _png(drawing.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE))


def _in_grey(png: bytes) -> bytes:
    """Return pictures without colour, about half as large; the same bytes for the same pictures."""
    from PIL import Image

    return _png(Image.open(io.BytesIO(png)).convert("L"))


def _png(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
