"""The picture of an audit: agreement with the truth by shell, with error bars over a band of verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cryoprior.metrics.gate import MEASURED, PRIOR_ONLY, SUPPORTED, UNKNOWN
from cryoprior.referee.result import Audit
from cryoprior.report.figures import INK, LINE, QUIET, line_styles, new_figure, png_bytes, resolution_axis
from cryoprior.report.legends import legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BANDS = {MEASURED: "#9cc3e6", SUPPORTED: "#5fb98b", PRIOR_ONLY: "#e8a06a", UNKNOWN: "#d9dee4"}
HATCHES = {MEASURED: "", SUPPORTED: "", PRIOR_ONLY: "////", UNKNOWN: ""}
"""Colours of the verdicts that stay apart for colour-blind readers; the one that warns is hatched, for print."""
BAND = (-0.17, -0.09)
"""Where the band of verdicts lies on the axis of the curves."""
LARGEST_WORTH = 4.0


def agreement_picture(audit: Audit) -> bytes:
    """Return agreement with the truth by shell as PNG: prior-free, prior's and gated map, and FSC(D1, D2) beside."""
    figure, axes = _figure()
    free, prior = (audit.known(estimate) for estimate in (audit.found.free(), audit.found.prior()))
    curves = {
        "prior-free map": free,
        "prior's map": prior,
        "gated map": (audit.weights.gated, audit.weights.gated_error),
        "prior's two maps": (audit.found.prior_fsc, None),
    }
    if audit.truth is not None:
        curves["gated map, true"] = (audit.truth.gated, None)
        curves["prior's map, true"] = (audit.truth.prior, None)
    for (name, (values, error)), style in zip(curves.items(), line_styles(len(curves)), strict=True):
        _curve(axes, audit, values.numpy(), None if error is None else error.numpy(), name, style)
    axes.set_ylim(BAND[0] - 0.03, 1.05)
    axes.set_yticks(np.arange(0, 1.1, 0.2))
    axes.set_ylabel("agreement with the truth", color=INK)
    _band(axes, audit, *BAND)
    legend_below(axes)
    return png_bytes(figure)


def worth_picture(audit: Audit) -> bytes:
    """Return how many times the particles the gated map and the prior's map are worth by shell, as PNG."""
    figure, axes = _figure()
    weights = audit.weights
    known = audit.found.known.numpy()
    for name, values, error, style in zip(
        ("gated map", "prior's map"),
        (weights.worth, weights.prior_worth),
        (weights.worth_error, weights.prior_worth_error),
        line_styles(2),
        strict=True,
    ):
        shown = np.where(known, values.numpy(), np.nan)
        _curve(axes, audit, np.clip(shown, 0, LARGEST_WORTH), error.numpy(), name, style)
    axes.axhline(1, color=QUIET, linewidth=0.8)
    axes.set_ylim(-0.55, LARGEST_WORTH)
    axes.set_yticks(np.arange(0, LARGEST_WORTH + 0.5, 1))
    axes.set_ylabel("worth × particles", color=INK)
    _band(axes, audit, -0.45, -0.15)
    legend_below(axes)
    return png_bytes(figure)


def _figure() -> tuple[Figure, Axes]:
    figure = new_figure(6.6, 3.7)
    axes = figure.subplots()
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _curve(
    axes: Axes, audit: Audit, values: np.ndarray, error: np.ndarray | None, name: str, style: dict[str, Any]
) -> None:
    frequency = 1 / audit.angstrom.numpy()[1:]
    axes.plot(frequency, values[1:], label=name, **style)
    if error is not None:
        bars = np.where(np.isfinite(values[1:]), error[1:], np.nan)
        axes.errorbar(frequency, values[1:], yerr=bars, fmt="none", ecolor=str(style["color"]), elinewidth=0.9)
    axes.set_xlim(0, float(frequency[-1]))
    resolution_axis(axes, float(frequency[-1]))


def _band(axes: Axes, audit: Audit, bottom: float, top: float) -> None:
    """Draw the verdict of every shell as a band of colours between two heights."""
    step = 1 / (audit.box * audit.voxel_size_angstrom)
    for verdict, colour in BANDS.items():
        places = [k for k, found in enumerate(audit.verdicts) if k and found == verdict]
        spans = [((k - 0.5) * step, step) for k in places]
        axes.broken_barh(
            spans, (bottom, top - bottom), facecolors=colour, hatch=HATCHES[verdict], edgecolor="white", linewidth=0.0
        )
        if places:
            axes.fill_between([], [], facecolor=colour, hatch=HATCHES[verdict], edgecolor="white", label=verdict)
