"""Maps of equal size with no prior: fewer full particles, smaller images, fewer bits a pixel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.io import ParticleStack
from cryoprior.maps.sources import ControlParticles, FullParticles, Source
from cryoprior.measurement.reading import read_finite
from cryoprior.operators.equal_size import control_operators

RANGE_PARTICLES = 256


def equal_size_controls(stack: ParticleStack, compression: float) -> Iterator[tuple[str, Source]]:
    """Yield what could have been kept instead of the measurements, each with its name.

    ``fewer particles``: the first N / C full ones. ``crop``: Fourier-cropped to box / sqrt(C). ``bin``: binned, where
    the square of a divisor of the box is within a tenth of C. ``quantize``: as many bits a pixel as fit, 32 / C.

    Source of the levels: J. Max, IRE Trans. Inf. Theory 6 (1960) 7, Table II.
    """
    yield "fewer particles", FullParticles(stack.subset(slice(max(2, round(stack.n / compression)))))
    for name, operator in control_operators(_sample(stack), compression).items():
        yield name, ControlParticles(stack, operator)


def _sample(stack: ParticleStack) -> Float[Tensor, "b box box"]:
    rows = np.unique(np.linspace(0, stack.n - 1, min(stack.n, RANGE_PARTICLES)).astype(int))
    return torch.cat([read_finite(stack, rows)])
