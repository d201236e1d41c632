"""A score as one record: what it is called, how it is shown, which way is better, and how it is computed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Score = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Metric:
    """A score of one batch against another, one number per particle.

    Parameters
    ----------
    name: what tables, files and the command line call it.
    title: its heading, with the unit if it has one.
    higher_is_better: whether the larger of two values is the better one.
    digits: decimals that are shown.
    function: (x, reference) to one number per particle, (b,). No particle's number depends on another particle.
    compares: ``images``, a reconstruction and an original, both (b, box, box) in one grey scale; or ``measurements``,
        A x and y, both (b, m).
    floors: whether the images that know nothing of the particle are given it too, to show what it is worth.
    needs_weights: whether the function is absent until weights are loaded, as for LPIPS.
    """

    name: str
    title: str
    higher_is_better: bool
    digits: int
    function: Score
    compares: Literal["images", "measurements"] = "images"
    floors: bool = True
    needs_weights: bool = False

    @property
    def heading(self) -> str:
        """Return the title with an arrow that points to better."""
        return f"{self.title} {'↑' if self.higher_is_better else '↓'}"

    @property
    def description(self) -> str:
        """Return the heading, and the first line of what the function says of itself."""
        line = (inspect.getdoc(self.function) or "no description").splitlines()[0]
        return f"{self.heading}: {line}"

    def text(self, value: float) -> str:
        """Return a value as it is shown."""
        return f"{value:z.{self.digits}f}"

    def reaches(self, value: float, target: float) -> bool:
        """Return whether a value is as good as the target, or better."""
        return value >= target if self.higher_is_better else value <= target


def fault_of_metric(name: str, item: Any) -> str:
    """Return in words what keeps an object from being the metric of that name; empty where nothing does."""
    if not isinstance(item, Metric):
        return f"found {type(item).__name__}; expected a cryoprior.metrics.Metric"
    return "" if item.name == name else f"its record is called {item.name!r}; expected one name in both places"
