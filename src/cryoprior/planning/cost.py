"""Hours: to move what was kept, to make a map of it, to reconstruct its images."""

from __future__ import annotations

from dataclasses import dataclass

from cryoprior.operators import Pixel
from cryoprior.planning.candidates import Candidate

MEASURED_BOX = 64
MAP_SECONDS = {"whole": 0.27e-3, "frequencies": 0.34e-3, "pixels": 0.47e-3}
"""A particle, one core of an AMD EPYC: benchmarks/results/backprojection.md; masks by how much longer theirs took."""
IMAGE_SECONDS = 0.226
"""An image by the exact solver and the embedded prior, one core of a Xeon: benchmarks/results/speed.md."""
MEASURED_ON = "one core, as the benchmarks of this package measured it"
HOUR = 3600.0


@dataclass(frozen=True)
class Rates:
    """How fast things go.

    gigabit_per_second: of the line. map_seconds, image_seconds: a particle takes in a map and to be reconstructed, on a
        stated device; None for what was measured here, taken in proportion to the pixels.
    """

    gigabit_per_second: float = 1.0
    map_seconds: float | None = None
    image_seconds: float | None = None

    @property
    def device(self) -> str:
        """Return what the hours are those of."""
        stated = [name for name in ("map_seconds", "image_seconds") if getattr(self, name) is not None]
        return f"{' and '.join(stated)} as given" if stated else MEASURED_ON

    def hours_to_move(self, size: float) -> float:
        """Return the hours that so many bytes take."""
        return 8 * size / (self.gigabit_per_second * 1e9) / HOUR

    def hours_to_map(self, candidate: Candidate, n: int, box: int) -> float:
        """Return the hours of a prior-free map."""
        kind = "whole" if candidate.compression == 1 else "frequencies"
        kind = "pixels" if isinstance(candidate.way, Pixel) else kind
        pixels = (box / MEASURED_BOX) ** 2
        return n * (MAP_SECONDS[kind] * pixels if self.map_seconds is None else self.map_seconds) / HOUR

    def hours_to_reconstruct(self, n: int, box: int) -> float:
        """Return the hours of all images, by the default solver."""
        pixels = (box / MEASURED_BOX) ** 2
        return n * (IMAGE_SECONDS * pixels if self.image_seconds is None else self.image_seconds) / HOUR
