"""Pictures of views: the sphere they come from, what they measure, and the FSC of all directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from cryoprior.maps.anisotropy import Anisotropy
from cryoprior.maps.views import THIN
from cryoprior.report.figures import INK, LINE, QUIET, line_styles, new_figure, png_bytes, resolution_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT, WIDTH, NEIGHBOURS = 90, 180, 7
DANGER = "#a1121f"


def views_picture(anisotropy: Anisotropy) -> bytes:
    """Return two maps of the sphere as PNG: the density of views, and how often Fourier directions were measured."""
    views = anisotropy.views
    figure = new_figure(5.0, 7.6)
    panels = figure.subplots(2, 1, subplot_kw={"projection": "mollweide"}, gridspec_kw={"hspace": 0.45})
    points = views.directions.numpy()
    _sphere(figure, panels[0], points, views.density.numpy(), "Views of the particles")
    _sphere(figure, panels[1], points, views.sampling.numpy(), "Directions in Fourier space that they measure", THIN)
    return png_bytes(figure)


def direction_fsc_picture(anisotropy: Anisotropy) -> bytes:
    """Return the FSC of the half maps over all directions as PNG: mean, eight tenths of the cones, and all."""
    table = anisotropy.table().iloc[1:]
    figure = new_figure(6.6, 3.7)
    axes = figure.subplots()
    frequency, style = table["frequency_per_angstrom"], line_styles(1)[0]
    colour = style["color"]
    for low, high, alpha, label in (
        ("fsc_lowest", "fsc_highest", 0.16, "all directions"),
        ("fsc_worst_tenth", "fsc_best_tenth", 0.34, "without worst and best tenth"),
    ):
        axes.fill_between(frequency, table[low], table[high], color=colour, alpha=alpha, linewidth=0, label=label)
    axes.plot(frequency, table["fsc_mean"], label="mean", **style)
    for level in (0.143, 0.5):
        axes.axhline(level, color=QUIET, linewidth=0.8)
    axes.set_xlim(0, float(frequency.iloc[-1]))
    axes.set_ylim(-0.1, 1.05)
    axes.set_ylabel(f"FSC within cones of {anisotropy.fsc.half_angle_deg:g}°", color=INK)
    resolution_axis(axes, float(frequency.iloc[-1]))
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, columnspacing=1.2)
    return png_bytes(figure)


def _sphere(
    figure: Figure,
    axes: Axes,
    directions: Float[np.ndarray, "m 3"],
    values: Float[np.ndarray, " m"],
    title: str,
    outlined: float | None = None,
) -> None:
    """Draw values of directions and of their opposites, rot to the right, tilt downwards, in equal areas."""
    rot, latitude = np.linspace(-np.pi, np.pi, WIDTH + 1), np.linspace(-np.pi / 2, np.pi / 2, HEIGHT + 1)
    centres = np.meshgrid((rot[1:] + rot[:-1]) / 2, (latitude[1:] + latitude[:-1]) / 2)
    shown = _between(directions, values, *centres)
    top = max(2.0, float(np.ceil(np.percentile(values, 99))))
    drawn = axes.pcolormesh(rot, latitude, shown, cmap="YlGnBu", vmin=0, vmax=top, rasterized=True)
    if outlined is not None and shown.min() < outlined < shown.max():
        axes.contour(*centres, shown, levels=[outlined], colors=DANGER, linewidths=1.4, linestyles="--")
        title += f"\n(dashed: less than {outlined:g} of an even share)"
    axes.set_title(title, fontsize=11, color=INK, pad=20)
    axes.set_xticks(np.radians([-90, 0, 90]), [])
    axes.set_yticks(np.radians([-60, -30, 0, 30, 60]), [])
    axes.grid(color=QUIET, linewidth=0.4, alpha=0.6)
    marks = {"z, tilt 0°": (0.5, 1.02), "tilt 180°": (0.5, -0.09), "rot −180°": (-0.02, 0.48), "rot 180°": (1.02, 0.48)}
    for text, place in marks.items():
        side = {0.5: "center", 1.02: "left"}.get(place[0], "right")
        axes.text(*place, text, transform=axes.transAxes, fontsize=9.5, color=QUIET, ha=side)
    bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", fraction=0.06, pad=0.11, aspect=32, extend="max")
    bar.set_label("times an even distribution", fontsize=10, color=INK)
    bar.outline.set_visible(False)


def _between(
    directions: Float[np.ndarray, "m 3"],
    values: Float[np.ndarray, " m"],
    rot: Float[np.ndarray, "h w"],
    latitude: Float[np.ndarray, "h w"],
) -> Float[np.ndarray, "h w"]:
    """Return the values at places on the sphere (radians) as means of the nearest, weighted by inverse distance."""
    from scipy.spatial import cKDTree

    across = np.cos(latitude)
    places = np.stack([across * np.cos(rot), across * np.sin(rot), np.sin(latitude)], -1)
    distance, nearest = cKDTree(np.concatenate([directions, -directions])).query(places, NEIGHBOURS)
    weight = 1 / np.maximum(distance, 1e-6)
    return np.asarray((np.concatenate([values, values])[nearest] * weight).sum(-1) / weight.sum(-1))
