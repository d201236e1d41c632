"""Resolution against particles as a picture, a table and a section of the page of ``map``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from cryoprior.maps.job import PRIOR_FREE, MapJob
from cryoprior.maps.judgement import NamedMaps
from cryoprior.maps.same_maps import distinct_maps
from cryoprior.maps.source import Source
from cryoprior.maps.sums import MapSettings
from cryoprior.maps.verdict import prior_inside
from cryoprior.maps.worth import Curve, Worth, particle_worth, reference_of, worth_summary, worth_table
from cryoprior.report.figures import INK, LINE, line_styles, new_figure, png_bytes
from cryoprior.report.legends import legend_below
from cryoprior.report.page import Picture, Section, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FULL_PARTICLES = "full particles"
MARKERS = "osD^vPXph*"
WIDTH = 720
"""Of the picture, in CSS pixels."""
ROUND = (1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0, 2.2, 2.5, 2.8, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0)
CAPTION = (
    "Maps of all particles, half of them, a quarter, ..., within one mask. The lines are ln N = constant + B / (2 d²) "
    "(Rosenthal and Henderson 2003), drawn where points were measured. Hollow points do not count: they are limited by "
    "Nyquist, or no shell reaches the threshold. Smaller sets are part of larger ones, so that their errors are not "
    "independent, and the error of B is that of the scatter alone."
)
PRIOR = (
    " Half maps of reconstructed images share the prior: what they are worth by half maps flatters them, and only the "
    "truth tells."
)


def write_worths(
    folder: Path,
    job: MapJob,
    beside: Sequence[tuple[str, Source]],
    named: Sequence[NamedMaps],
    settings: MapSettings,
    truth: Float[np.ndarray, "d d d"] | None,
    seed: int,
) -> tuple[Section, dict[str, Any]]:
    """Return the section for the page and the numbers for summary.json; worth.csv and worth.png go into the folder.

    Full particles are the measure of the others where they are mapped too, else the measurements without a prior. Of
    maps that are numerically one the first is taken.

    Parameters
    ----------
    beside, named: the sources beside that of the job, and the maps of it and of them, in this order.
    """
    sources = [job.source, *(source for _, source in beside)]
    kept, equals = distinct_maps(named)
    worths = [
        particle_worth(one.name, source, settings, named[0].judgement.mask, truth, seed, (one.maps, one.judgement))
        for one, source in ((named[place], sources[place]) for place in kept)
    ]
    reference = reference_of(worths, [equals.get(name, name) for name in (FULL_PARTICLES, PRIOR_FREE)])
    worth_table(worths).to_csv(folder / "worth.csv", index=False, float_format="%.6g")
    (folder / "worth.png").write_bytes(worth_picture(worths))
    section = worth_section(worths, reference, prior_inside=prior_inside(job, named))
    return section, worth_summary(worths, reference)


def worth_section(worths: Sequence[Worth], reference: Worth | None, *, prior_inside: bool) -> Section:
    """Return picture and table: the B-factor by map and criterion, and the worth in particles of the reference."""
    caption = "" if reference is None else f"One particle of each map in particles of {reference.name}, and its range."
    columns = ("map", "judged by", "points", "B (Å²)", *(("worth",) if reference is not None else ()))
    rows = [_row(worth, criterion, reference) for worth in worths for criterion in worth.curves]
    alt = "resolution against the number of particles, one line per map"
    picture = Picture(worth_picture(worths), alt, CAPTION + PRIOR * prior_inside, WIDTH)
    return Section("Particles and resolution", [picture, Table(columns, rows, caption)])


def worth_picture(worths: Sequence[Worth]) -> bytes:
    """Return 1 / d^2 over the number of particles, logarithmic, one field per criterion below the other, as PNG."""
    criteria = list(worths[0].curves)
    figure = new_figure(6.6, 3.7 * len(criteria))
    fields = figure.subplots(len(criteria), 1, sharex=True, squeeze=False)[:, 0]
    for axes, criterion in zip(fields, criteria, strict=True):
        curves = [worth.curves[criterion] for worth in worths]
        for i, (worth, style) in enumerate(zip(worths, line_styles(len(worths)), strict=True)):
            _draw(axes, curves[i], worth.name, style, MARKERS[i % len(MARKERS)])
        axes.set_xscale("log")
        axes.minorticks_off()
        _resolution_axis(axes, [p.resolution.angstrom for curve in curves for p in curve.points])
        axes.set_title(criterion, fontsize=10, color=INK)
        axes.grid(axis="y", color=LINE, linewidth=0.7)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    _particle_axis(fields[-1], sorted({p.n for w in worths for curve in w.curves.values() for p in curve.points}))
    legend_below(fields[-1])
    return png_bytes(figure)


def _draw(axes: Axes, curve: Curve, name: str, style: dict[str, Any], marker: str) -> None:
    """Draw the points that count, the line through them where there is one, and those left out hollow."""
    n, angstrom = curve.arrays()
    points = {**style, "linestyle": "none", "marker": marker, "markersize": 5.5}
    axes.plot([], [], label=name, **{**style, "marker": marker, "markersize": 5.5})
    axes.plot(n, angstrom**-2, **points)
    fit = curve.fit()
    if not isinstance(fit, str):
        ends = np.array([n.min(), n.max()])
        axes.plot(ends, fit.inverse_square(ends), **style)
    out = [point for point in curve.points if point.left_out and point.resolution.known]
    hollow = {**points, "markerfacecolor": "white", "markeredgewidth": 1.2}
    axes.plot([p.n for p in out], [p.resolution.angstrom**-2 for p in out], **hollow)


def _particle_axis(axes: Axes, numbers: Sequence[int]) -> None:
    """Mark powers of ten times 1, 2 and 5 within the numbers of particles."""
    lowest, highest = numbers[0] / 1.15, numbers[-1] * 1.15
    decades = range(int(np.floor(np.log10(lowest))), int(np.ceil(np.log10(highest))) + 1)
    ticks = [step * 10**k for k in decades for step in (1, 2, 5) if lowest <= step * 10**k <= highest]
    axes.set_xlim(lowest, highest)
    axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
    axes.set_xlabel("particles, logarithmic", color=INK)


def _resolution_axis(axes: Axes, angstrom: Sequence[float]) -> None:
    """Mark the vertical axis, linear in 1 / d^2, with round resolutions in angstrom that do not crowd."""
    axes.set_ylabel("resolution (Å), linear in 1 / d²", color=INK)
    finite = [d for d in angstrom if math.isfinite(d)]
    if not finite:
        axes.set_yticks([])
        return
    low, high = max(finite) ** -2, min(finite) ** -2
    margin = 0.06 * (high - low) or 0.06 * high
    low, high = low - margin, high + margin
    ticks: list[float] = []
    for d in sorted(step * 10.0**k for k in range(-1, 4) for step in ROUND):
        crowded = bool(ticks) and ticks[-1] ** -2 - d**-2 < (high - low) / 12
        if low <= d**-2 <= high and not crowded:
            ticks.append(d)
    axes.set_ylim(low, high)
    axes.set_yticks([d**-2 for d in ticks], [f"{d:g}" for d in ticks])


def _row(worth: Worth, criterion: str, reference: Worth | None) -> list[str]:
    curve = worth.curves[criterion]
    fit, counted = curve.fit(), len(curve.usable)
    row = [worth.name, criterion, f"{counted} of {len(curve.points)}"]
    if isinstance(fit, str):
        row.append("no line: " + fit.partition(": ")[2].partition(";")[0])
    else:
        row.append(f"{fit.b_factor:.0f} ± {fit.error:.0f}")
    if reference is not None:
        row.append("1 (the measure)" if worth is reference else _worth(curve, reference.curves[criterion]))
    return row


def _worth(curve: Curve, reference: Curve) -> str:
    exchange = curve.exchange(reference)
    if exchange is None:
        return "no resolution that both reach"
    return f"× {exchange.ratio:.3g} ({exchange.low:.3g} to {exchange.high:.3g})"
