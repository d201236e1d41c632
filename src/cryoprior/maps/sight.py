"""What the operators of particles see of their images, row by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from cryoprior.operators import Operator, measured_transfer


@dataclass(frozen=True, eq=False)
class Sight:
    """The operator of particles by row.

    index: of every row in the whole stack, (n,); it chooses the mask set.
    """

    operator: Operator
    index: np.ndarray

    @property
    def mixes(self) -> bool:
        """Whether A+ A mixes frequencies, as sums of pixels do."""
        return self.operator.fourier_diagonal([0]) is None

    @property
    def mask_sets(self) -> np.ndarray:
        """The mask set of every row, (n,)."""
        return self.index % self.operator.sets

    def particles(self, rows: np.ndarray) -> list[int]:
        """Return the index of every row in the whole stack."""
        return [int(i) for i in self.index[rows]]

    def seen(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        """Return A+ A x."""
        return self.operator.project(images, self.particles(rows))

    def share(self, rows: np.ndarray, like: Tensor) -> Float[Tensor, "_ box half"]:
        """Return the share of every Fourier coefficient that was measured of these rows."""
        return measured_transfer(self.operator, self.particles(rows), like=like)
