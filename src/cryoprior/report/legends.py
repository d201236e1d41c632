"""Legends that cover no curve: under the horizontal axis, in as many columns as their names leave room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryoprior.report.labels import wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 9
LINE, KEY = 60, 8
"""Characters of the longest line of a name, and those that its key and the gap to the next column take."""
DOWN_INCHES = 0.55
"""From the axis to the legend: the numbers of the axis and its label lie between."""


def legend_below(axes: Axes) -> None:
    """Draw the legend of the axes under them; long names take several lines."""
    handles, labels = axes.get_legend_handles_labels()
    names = [wrapped(label, LINE) for label in labels]
    figure, box = axes.get_figure(root=True), axes.get_position()
    assert figure is not None
    width, height = box.width * figure.get_figwidth(), box.height * figure.get_figheight()
    widest = max(len(line) for name in names for line in name.splitlines() or [""])
    room = width * 72 / (0.53 * POINTS)  # characters of about half their height
    columns = max(1, min(len(names), int(room // (widest + KEY))))
    anchor = (0, -DOWN_INCHES / height)
    look: dict[str, Any] = {"frameon": False, "fontsize": POINTS, "ncols": columns, "borderaxespad": 0}
    axes.legend(handles, names, loc="upper left", bbox_to_anchor=anchor, **look)
