"""Bands of Fourier shells within which coefficients of particles vary alike, so that they share their levels."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Int
from torch import Tensor

from cryoprior.image.spectrum import shell_index

WIDTH = 4
"""A band is a shell wide up to the eighth shell, and a quarter of its radius beyond."""


@lru_cache(maxsize=16)
def frequency_bands(box: int) -> Int[np.ndarray, "box half"]:
    """Return the band of every rfft2 frequency, (box, box // 2 + 1): 17 of them in a box of 64, 25 in one of 256."""
    shells = shell_index(box).numpy()
    edges, most = [0], int(shells.max())
    while edges[-1] <= most:
        edges.append(edges[-1] + max(1, edges[-1] // WIDTH))
    bands: Int[np.ndarray, "box half"] = np.searchsorted(np.array(edges), shells, side="right") - 1
    return bands


def count_bands(box: int) -> int:
    """Return the number of bands of a box."""
    return int(frequency_bands(box).max()) + 1


def bands_of_numbers(box: int, coefficients: Int[Tensor, " m"]) -> Int[np.ndarray, " m"]:
    """Return the band of every number, (m,), from the place of its coefficient in the flattened rfft2."""
    bands: Int[np.ndarray, " m"] = frequency_bands(box).ravel()[coefficients.numpy()]
    return bands
