"""What a measurement leaves of each Fourier coefficient on average: the weight that a map needs beside the CTF."""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.operators.base import Operator, Particles

MEAN_SETS = 8
"""Mask sets over which the transfer of sums of pixels is averaged; those of other sets differ by their draw alone."""
BATCH_BYTES = 64 << 20


def measured_transfer(
    operator: Operator, particles: Particles = None, *, like: Tensor | None = None
) -> Float[Tensor, "b box half"]:
    """Return the share of every Fourier coefficient that A+ A keeps, on the rfft2 grid, (b, box, box // 2 + 1).

    For operators that the FFT diagonalises it is 1 where particle i was measured and 0 elsewhere. For others, A+ A
    mixes frequencies, and q(k) = (F A+ A F^H)_kk is the part of an image's coefficient that comes back at its own
    place: one q, the mean over at most eight mask sets, stands for all particles, (1, box, box // 2 + 1).
    """
    like = torch.empty(0) if like is None else like
    diagonal = operator.fourier_diagonal(particles, like=like)
    if diagonal is not None:
        return (diagonal > 0).to(like.dtype)
    return _mean_transfer(operator).to(like.device, like.dtype)[None]


@lru_cache(maxsize=16)
def _mean_transfer(operator: Operator) -> Float[Tensor, "box half"]:
    sets = range(min(operator.sets, MEAN_SETS))
    return torch.stack([_set_transfer(operator, index) for index in sets]).mean(0)


def _set_transfer(operator: Operator, index: int) -> Float[Tensor, "box half"]:
    """Return q of one mask set, the power of all its right singular vectors at every frequency."""
    box, seen = operator.box, torch.nonzero(operator.values(index) > 0).flatten()
    power = torch.zeros(box, box // 2 + 1, dtype=torch.float64)
    size = max(1, BATCH_BYTES // (8 * max(operator.n, operator.r)))
    for start in range(0, len(seen), size):
        places = seen[start : start + size]
        unit = torch.zeros(len(places), operator.r, dtype=torch.float32)
        unit[torch.arange(len(places)), places] = 1.0
        vectors = operator.synthesise(unit, [index] * len(places))
        power += torch.fft.rfft2(vectors, norm="ortho").abs().square().sum(0, dtype=torch.float64)
    return power
