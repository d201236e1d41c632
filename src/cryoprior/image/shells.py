"""Shells of the rfftn grid of a volume: every coefficient by its rounded distance from the origin."""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class Shells:
    """The shells 0 .. box // 2 of a box, and the coefficients within Nyquist; corners count to the last shell."""

    def __init__(self, box: int, device: torch.device | str = "cpu") -> None:
        self.box = box
        index, inside, count = _shells(box)
        self.index: Int[Tensor, "box box half"] = index.to(device)
        self.inside: Bool[Tensor, "box box half"] = inside.to(device)
        self._count: Float[Tensor, "box box half"] = count.to(device)

    def mean(self, values: Float[Tensor, "box box half"]) -> Float[Tensor, " shells"]:
        """Return the mean over every shell within Nyquist, each coefficient of the full transform once, float64."""
        total = torch.zeros(2, self.box // 2 + 1, dtype=torch.float64, device=values.device)
        stacked = torch.stack((values.double() * self._count, self._count)).flatten(1)
        total.index_add_(1, self.index.flatten(), stacked)
        return total[0] / total[1].clamp_min(1)

    def spread(self, curve: Float[Tensor, " shells"]) -> Float[Tensor, "box box half"]:
        """Return a curve by shell on the rfftn grid."""
        return curve[self.index]

    def sizes(self) -> Float[Tensor, " shells"]:
        """Return the number of coefficients of the full transform in every shell within Nyquist."""
        total = torch.zeros(self.box // 2 + 1, dtype=torch.float64, device=self._count.device)
        return total.index_add_(0, self.index.flatten(), self._count.flatten())


@lru_cache(maxsize=4)
def _shells(box: int) -> tuple[Tensor, Tensor, Tensor]:
    axis = torch.fft.fftfreq(box, 1 / box, dtype=torch.float64).square()
    columns = torch.arange(box // 2 + 1, dtype=torch.float64)
    squares = axis[:, None, None] + axis[:, None] + columns.square()
    inside = squares <= (box // 2) ** 2
    twice = (columns > 0) & (columns != box / 2)
    count = (1 + twice.double()) * inside
    return squares.sqrt().round().long().clamp_max(box // 2), inside, count
