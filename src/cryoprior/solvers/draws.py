"""Mean and spread of draws that come one at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def moments(draws: Iterator[Tensor]) -> tuple[Tensor | None, Tensor | None]:
    """Return the first draw and the standard deviation of all by pixel (None below two), holding one at a time."""
    first = mean = squares = None
    count = 0
    for count, x in enumerate(draws, start=1):
        if mean is None or squares is None:
            first, mean, squares = x, x.clone(), torch.zeros_like(x)
            continue
        change = x - mean
        mean = mean + change / count
        squares = squares + change * (x - mean)
    return first, (squares / (count - 1)).sqrt() if squares is not None and count > 1 else None
