"""The laws of a metric: one number per particle, which depends on that particle alone, and is best for equal images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cryoprior.metrics import Metric
from cryoprior.testing.closeness import normal, require, require_equal

PARTICLES, BOX = 3, 32
SAME = 1e-9

Law = Callable[[Metric], None]


def check_metric(metric: Metric) -> None:
    """Raise AssertionError for the first law that a metric breaks.

    One that needs weights is checked with them: ``dataclasses.replace(metric, function=Lpips(weights))``.
    """
    for law in METRIC_LAWS.values():
        law(metric)


def compared(metric: Metric, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Return what a metric compares, and its reference, far from mean 0 and deviation 1."""
    form = (PARTICLES, BOX, BOX) if metric.compares == "images" else (PARTICLES, BOX)
    reference = 40 + 7 * normal(*form, seed=0, dtype=dtype)
    return reference + 3 * normal(*form, seed=1, dtype=dtype), reference


def shape(metric: Metric) -> None:
    """There is one finite number per particle, in both types."""
    for dtype in (torch.float32, torch.float64):
        scores = metric.function(*compared(metric, dtype))
        require(tuple(scores.shape) == (PARTICLES,), "shape: one number per particle", tuple(scores.shape))
        require(bool(scores.isfinite().all()), "shape: finite numbers", scores.tolist())


def batch(metric: Metric) -> None:
    """A particle's number is the same alone, in any batch and in any order."""
    x, reference = compared(metric)
    together = metric.function(x, reference)
    backwards = metric.function(x.flip(0), reference.flip(0)).flip(0)
    require_equal(backwards, together, "batch: a score does not depend on the order", tolerance=SAME)
    alone = torch.cat([metric.function(x[i : i + 1], reference[i : i + 1]) for i in range(PARTICLES)])
    require_equal(alone, together, "batch: a score does not depend on the batch mates", tolerance=SAME)


def best(metric: Metric) -> None:
    """Nothing scores better than the reference itself, and something else scores worse."""
    x, reference = compared(metric)
    equal, other = (metric.function(image, reference).tolist() for image in (reference, x))
    reached = all(metric.reaches(*pair) and pair[0] != pair[1] for pair in zip(equal, other, strict=True))
    better = "higher" if metric.higher_is_better else "lower"
    law = f"best: equal images score best, {better} is better"
    require(reached, law, f"{equal} for equal ones, {other} for others")


def words(metric: Metric) -> None:
    """It has a name that a column may bear, a title, and decimals to be shown with."""
    plain = metric.name.replace("_", "").isalnum() and metric.name == metric.name.lower()
    require(plain, "words: a name of small letters, digits and underscores", repr(metric.name))
    require(bool(metric.title.strip()), "words: a title", repr(metric.title))
    require(metric.digits >= 0, "words: decimals to show", metric.digits)


METRIC_LAWS: dict[str, Law] = {"shape": shape, "batch": batch, "best": best, "words": words}
