"""Resolution against bytes, with the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cryoprior.planning.plan import Plan, Planned
from cryoprior.report.figures import INK, LINE, QUIET, new_figure, png_bytes
from cryoprior.report.legends import legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOKS = {
    "format": ("#0b5fa5", "s"),
    "bits": ("#d4691e", "o"),
    "masks": ("#2a8a5f", "^"),
    "masks and bits": ("#8b4a9c", "D"),
}
WIDTH, HEIGHT = 6.8, 4.6
MARGIN = 1.5
"""Room beside the points, as a factor of bytes."""
APART = 1.45
"""Bytes from one name to the next, as a factor."""


def front_figure(plan: Plan) -> bytes:
    """Return a figure of the expected resolution against the bytes of a particle, better is up, as PNG."""
    figure = new_figure(WIDTH, HEIGHT)
    axes = figure.subplots()
    shown = [row for row in plan.rows if math.isfinite(row.expected.angstrom)]
    for kind, (colour, marker) in LOOKS.items():
        rows = [row for row in shown if row.candidate.kind == kind]
        if not rows:
            continue
        coarsest = [
            row.expected.coarsest if math.isfinite(row.expected.coarsest) else row.expected.angstrom for row in rows
        ]
        axes.errorbar(
            [row.bytes_per_particle for row in rows],
            [row.expected.angstrom for row in rows],
            yerr=[
                [row.expected.angstrom - row.expected.finest for row in rows],
                [end - row.expected.angstrom for end, row in zip(coarsest, rows, strict=True)],
            ],
            fmt=marker,
            color=colour,
            markersize=6,
            elinewidth=0.9,
            capsize=2,
            label=kind,
        )
    front = plan.front
    axes.plot(
        [row.bytes_per_particle for row in front],
        [row.expected.angstrom for row in front],
        color=QUIET,
        linewidth=1.2,
        linestyle="--",
        zorder=1,
        label="Pareto front",
    )
    sizes = [row.bytes_per_particle for row in shown]
    axes.set_xscale("log")
    axes.set_xlim(min(sizes) / MARGIN, max(sizes) * MARGIN**2)
    for row in _far_apart(front):
        _label(axes, row.candidate.name, row.bytes_per_particle, row.expected.angstrom)
    axes.invert_yaxis()
    axes.set_xlabel("bytes a particle (logarithmic)", color=INK)
    axes.set_ylabel("expected resolution (Å), FSC 0.143", color=INK)
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    legend_below(axes)
    return png_bytes(figure)


def _far_apart(front: Sequence[Planned]) -> list[Planned]:
    """Return the rows whose names do not lie upon each other, the smallest first."""
    kept: list[Planned] = []
    for row in front:
        if not kept or row.bytes_per_particle >= APART * kept[-1].bytes_per_particle:
            kept.append(row)
    return kept


def _label(axes: Axes, name: str, x: float, y: float) -> None:
    short = name.replace("pattern=uniform,", "").replace(",sets=64", "")
    shown = axes.annotate(
        short, (x, y), (3, 5), textcoords="offset points", rotation=38, va="bottom", fontsize=7.5, color=INK
    )
    shown.set_rotation_mode("anchor")
