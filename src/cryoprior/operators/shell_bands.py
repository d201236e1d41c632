"""Operators whose numbers are Fourier coefficients: their levels are made shell by shell."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from cryoprior.operators.bands import bands_of_numbers, count_bands, frequency_bands
from cryoprior.operators.base import Operator


class ShellBands(Operator):
    """An operator that rounds each band of shells with its own deviation."""

    @property
    def bands(self) -> int:
        """Return the bands of shells."""
        return count_bands(self.box)

    def number_bands(self, index: int) -> Int[np.ndarray, " m"]:
        """Return the band of every coefficient."""
        return bands_of_numbers(self.box, self.system(index).groups())

    def frequency_bands(self) -> Int[np.ndarray, "box half"]:
        """Return the band of every rfft2 frequency."""
        return frequency_bands(self.box)
