"""Names beside the points of a figure, placed so that they cover neither points nor each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from cryoprior.report.figures import LINE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DISTANCES = (7, 13, 20, 28, 38, 50, 64)  # from a point to its name, in points
DIRECTIONS = tuple(np.deg2rad((0, 180, 90, 270, 35, 325, 145, 215, 60, 300, 120, 240)))
MARKER = 4.5  # half the side of what a point covers
ROOM = np.array([4.0, 1.0])  # around a name, in points
NEAR = 14.0  # a name closer than this needs no line to its point
OUTSIDE, PER_POINT = 20.0, 4.0  # what a place costs: covered beyond the frame, and for its distance


@dataclass(frozen=True)
class Label:
    """The name of a point in data coordinates, and its colour."""

    x: float
    y: float
    text: str
    colour: str


def place_labels(axes: Axes, labels: Sequence[Label], size: float = 7.5) -> None:
    """Write the names of points, each at the place around its point that covers the least; limits must be final."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = axes.figure
    canvas: Any = FigureCanvasAgg(figure.get_figure(root=True))
    renderer = canvas.get_renderer()
    scale = 72 / figure.dpi
    frame = np.array(axes.get_window_extent(renderer).extents) * scale
    centres = axes.transData.transform([(label.x, label.y) for label in labels]) * scale
    taken = [np.array([*(centre - MARKER), *(centre + MARKER)]) for centre in centres]
    for i in np.lexsort((centres[:, 0], -centres[:, 1])):
        label = labels[i]
        note = axes.annotate(label.text, (label.x, label.y), (0, 0), textcoords="offset points", fontsize=size)
        extent = note.get_window_extent(renderer)
        box = _best_place(centres[i], np.array([extent.width, extent.height]) * scale + ROOM, taken, frame)
        taken.append(box)
        note.set(position=(box[:2] + box[2:]) / 2 - centres[i], ha="center", va="center", color=label.colour, zorder=4)
        gap = np.maximum(np.maximum(box[:2] - centres[i], centres[i] - box[2:]), 0)
        if np.hypot(*gap) > NEAR:
            _leader(axes, label, np.clip(centres[i], box[:2], box[2:]) - centres[i])


def _best_place(
    centre: Float[np.ndarray, "2"],
    extent: Float[np.ndarray, "2"],
    taken: Sequence[Float[np.ndarray, "4"]],
    frame: Float[np.ndarray, "4"],
) -> Float[np.ndarray, "4"]:
    """Return left, bottom, right, top of the cheapest place for a text of this width and height."""
    places = []
    for distance in DISTANCES:
        for angle in DIRECTIONS:
            towards = np.array([np.cos(angle), np.sin(angle)])
            middle = centre + towards * (distance + extent / 2 * np.array([1, 0.6]))
            box = np.concatenate([middle - extent / 2, middle + extent / 2])
            beyond = float(np.prod(extent)) - _common(box, frame)
            cost = sum(_common(box, other) for other in taken) + OUTSIDE * beyond + PER_POINT * distance
            places.append((cost, box))
    return min(places, key=lambda place: place[0])[1]


def _common(a: Float[np.ndarray, "4"], b: Float[np.ndarray, "4"]) -> float:
    """Return the area that two boxes share."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return float(np.prod(np.maximum(sides, 0)))


def _leader(axes: Axes, label: Label, end: Float[np.ndarray, "2"]) -> None:
    style = {"arrowstyle": "-", "color": LINE, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 3}
    axes.annotate(
        "",
        (label.x, label.y),
        tuple(end),
        textcoords="offset points",
        arrowprops=style,
        zorder=1,
        annotation_clip=False,
    )
