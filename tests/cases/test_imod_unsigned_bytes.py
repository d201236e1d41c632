"""Case 20: bytes that IMOD marks as unsigned are read so."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cryoprior.io import read_particles


def test_the_means_are_those_of_unsigned_bytes(shared_data: Path) -> None:
    stack = read_particles(shared_data / "cases" / "20-imod-unsigned-bytes" / "imod_unsigned.mrcs")
    means = stack.read().astype(np.float64).mean((1, 2))
    np.testing.assert_allclose(means, [77.6, 93.1, 103.9, 115.0, 125.5, 141.0], atol=0.06)
