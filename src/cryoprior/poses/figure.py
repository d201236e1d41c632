"""The picture of pose errors: how many particles are how far off, in angle and in shift."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cryoprior.report.figures import INK, LINE, QUIET, STYLES, new_figure, png_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMALLEST_DEG, BINS = 0.1, 48
ANGLE_TICKS = (0.1, 0.3, 1, 3, 10, 30, 180)


def pose_histograms(angle_deg: np.ndarray, shift_angstrom: np.ndarray) -> bytes:
    """Return histograms of the errors of angle and shift, (n,) each, their medians marked, as PNG.

    Angles are drawn on a logarithmic axis, all below 0.1 degree in its first bin; of the shifts all above the 99th
    percentile are in the last bin.
    """
    figure = new_figure(8.2, 3.3)
    left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.28})
    bins = np.geomspace(SMALLEST_DEG, 180, BINS)
    left.hist(np.clip(angle_deg, SMALLEST_DEG, 180), bins=bins, histtype="stepfilled", color=STYLES[0]["color"])
    left.set_xscale("log")
    left.set_xticks(ANGLE_TICKS, [f"{tick:g}" for tick in ANGLE_TICKS])
    left.set_xticks([], minor=True)
    top = max(float(np.percentile(shift_angstrom, 99)), 1e-3)
    right.hist(
        np.clip(shift_angstrom, 0, top), bins=np.linspace(0, top, BINS), histtype="stepfilled", color=STYLES[1]["color"]
    )
    for axes, values, label, unit in (
        (left, angle_deg, "angle between the poses (degrees)", "°"),
        (right, shift_angstrom, "distance of the origins (Å)", " Å"),
    ):
        _finish(axes, float(np.median(values)), label, unit)
    left.set_ylabel("particles", color=INK)
    return png_bytes(figure)


def _finish(axes: Axes, median: float, label: str, unit: str) -> None:
    axes.axvline(max(median, axes.get_xlim()[0]), color=INK, linewidth=1.2, linestyle="--")
    axes.set_title(f"median {median:.3g}{unit}", fontsize=9.5, color=QUIET)
    axes.set_xlabel(label, color=INK)
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
