"""What the embedded map prior adds to a map, in particles, as it was measured on molecules that trained nothing.

Source: benchmarks/results/map_prior.md, the gated map in a tight mask, 54 data sets of 6 molecules of other families,
2026-11-30. The deviation is the scatter of the molecules.
"""

from __future__ import annotations

import numpy as np

from cryoprior.planning.candidates import Candidate

COMPRESSIONS = (1.0, 2.5, 5.0, 10.0)
WORTH = (1.36, 1.33, 1.23, 1.12)
DEVIATION = (0.07, 0.06, 0.05, 0.03)
"""Whole images and one bit a pixel; sums of pixels; Fourier masks."""


def map_prior_worth(candidate: Candidate) -> tuple[float, float]:
    """Return the factor on the number of particles, and its deviation; between measured compressions by their log."""
    at = np.log(np.clip(candidate.compression, COMPRESSIONS[0], COMPRESSIONS[-1]))
    known = np.log(COMPRESSIONS)
    return float(np.interp(at, known, WORTH)), float(np.interp(at, known, DEVIATION))
