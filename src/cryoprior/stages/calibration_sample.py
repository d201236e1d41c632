"""Which particles of a stack its grey scale, contrast and power spectrum are read from."""

from __future__ import annotations

import numpy as np

INTENSITY_PARTICLES = 256


def calibration_sample(n: int) -> np.ndarray:
    """Return the places of at most 256 particles, evenly spread over a stack of n: the same for every shard of it."""
    return np.unique(np.linspace(0, n - 1, min(n, INTENSITY_PARTICLES)).round().astype(int))
