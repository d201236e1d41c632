"""Why the sign of the contrast, read off the images, may be wrong."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from cryoprior.image.spectrum import shell_index
from cryoprior.operators import Operator
from cryoprior.solvers.intensity import Contrast

ENOUGH_COVERAGE = 0.5


def contrast_doubt(contrast: Contrast, operator: Operator, y: Tensor, particles: Sequence[int]) -> str:
    """Return why the user should pass the contrast, an empty text where nothing speaks against it."""
    if not contrast.clear:
        return f"contrast: {contrast}; pass --contrast bright or dark if you know it"
    if contrast.decided_by == "images" and low_coverage(operator, y, particles) < ENOUGH_COVERAGE:
        return (
            f"contrast: {contrast}, but the masks hold few of the lowest frequencies, which can turn the sign; "
            "pass --contrast bright or dark if you know it"
        )
    return ""


def low_coverage(operator: Operator, y: Tensor, particles: Sequence[int]) -> float:
    """Return the share of the frequencies of shells 1 and 2 that any of the particles' masks holds.

    1 for operators that are not diagonal in the FFT: each of their numbers holds something of every frequency.
    """
    diagonal = operator.fourier_diagonal(particles, like=y)
    if diagonal is None:
        return 1.0
    shells = shell_index(operator.box, y.device)
    low = (shells == 1) | (shells == 2)
    held = (diagonal > 0).expand(len(particles), -1, -1).any(dim=0)
    return float(held[low].float().mean())
