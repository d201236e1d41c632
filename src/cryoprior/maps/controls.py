"""Maps of equal size with no prior: fewer full particles, smaller images, fewer bits per pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from torch import Tensor

from cryoprior.io import ParticleStack
from cryoprior.io.rows import spread_rows
from cryoprior.maps.arrays import read_images
from cryoprior.maps.sight import Sight
from cryoprior.maps.source import Source, Views
from cryoprior.maps.sources import FullParticles, ImageParticles
from cryoprior.operators import Operator, rounded
from cryoprior.operators.equal_size import control_operators

RANGE_PARTICLES = 256


@dataclass(frozen=True)
class ControlParticles(ImageParticles):
    """Full particles as an operator would have measured them without noise of its own, by least squares."""

    operator: Operator

    @cached_property
    def sight(self) -> Sight:
        """What the operator sees of these particles."""
        return Sight(self.operator, self.stack.index)

    @property
    def mixes(self) -> bool:
        return self.sight.mixes

    @property
    def mask_sets(self) -> np.ndarray:
        return self.sight.mask_sets

    def views(self, rows: np.ndarray) -> Views:
        images, particles = read_images(self.stack, rows), self.sight.particles(rows)
        y = rounded(self.operator, self.operator.forward(images, particles), particles)
        seen = self.operator.pinv(y, particles)
        return seen, self.sight.share(rows, images)

    def seen(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        return self.sight.seen(images, rows)


def equal_size_controls(stack: ParticleStack, compression: float) -> Iterator[tuple[str, Source]]:
    """Yield what could have been kept instead of the measurements, each with its name.

    ``fewer particles``: the first N / C full ones. ``crop``: Fourier-cropped to box / sqrt(C). ``bin``: binned, where
    the square of a divisor of the box is within a tenth of C. ``quantize``: as many bits per pixel as fit, 32 / C.

    Source of the levels: J. Max, IRE Trans. Inf. Theory 6 (1960) 7, Table II.
    """
    yield "fewer particles", FullParticles(stack.subset(slice(max(2, round(stack.n / compression)))))
    for name, operator in control_operators(_sample(stack), compression).items():
        yield name, ControlParticles(stack, operator)


def _sample(stack: ParticleStack) -> Float[Tensor, "b box box"]:
    return read_images(stack, spread_rows(stack.n, RANGE_PARTICLES))
