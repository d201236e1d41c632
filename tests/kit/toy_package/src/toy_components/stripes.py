"""Every second row of the image, or every third: what a detector that reads out some of its lines would keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.operators import Operator
from cryoprior.operators.systems.system import System


@dataclass(frozen=True)
class ChosenPixels(System):
    """Some pixels, each its own coordinate."""

    box: int
    places: Int[Tensor, " r"]
    ones: Float[Tensor, " r"]

    @property
    def values(self) -> Float[Tensor, " r"]:
        """Return ones."""
        return self.ones

    def analyse(self, x: Float[Tensor, "b box box"]) -> Float[Tensor, "b r"]:
        """Return the pixels."""
        return x.flatten(1)[:, self.places]

    def synthesise(self, z: Float[Tensor, "b r"]) -> Float[Tensor, "b box box"]:
        """Return the image of these pixels, zero at the others."""
        image = z.new_zeros(len(z), self.box**2)
        return image.index_copy(1, self.places, z).reshape(-1, self.box, self.box)

    def coordinates(self, y: Float[Tensor, "b m"]) -> Float[Tensor, "b r"]:
        """Return y."""
        return y

    def uncoordinates(self, z: Float[Tensor, "b r"]) -> Float[Tensor, "b m"]:
        """Return z."""
        return z


@dataclass(frozen=True, kw_only=True)
class Stripes(Operator):
    """Every ``every``-th row of pixels is kept; mask set i starts at row i mod every.

    Parameters
    ----------
    every: it divides the box. The compression is this number.
    """

    every: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every < 1 or self.box % self.every:
            raise InputError(f"stripes: every {self.every} does not divide box {self.box}; choose a divisor")

    @property
    def m(self) -> int:
        """Return the pixels that are kept."""
        return self.n // self.every

    @property
    def r(self) -> int:
        """Return the pixels that are kept."""
        return self.m

    @property
    def compression(self) -> float:
        """Return ``every``."""
        return float(self.every)

    @property
    def nominal(self) -> str:
        """Return the rows in words."""
        return f"1 of {self.every} rows"

    def arrays(self, index: int) -> tuple[np.ndarray, ...]:
        """Return the rows that are kept."""
        return (np.arange(index % self.every, self.box, self.every),)

    def system(self, index: int) -> ChosenPixels:
        """Return the pixels of these rows."""
        (rows,) = self.arrays(index)
        places = (rows[:, None] * self.box + np.arange(self.box)).ravel()
        return ChosenPixels(self.box, torch.from_numpy(places), torch.ones(len(places), dtype=torch.float64))
