"""The singular system of operators that are diagonal in the Fourier transform."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from cryoprior.operators.systems.system import System, invert


@dataclass(frozen=True)
class FrequencySystem(System):
    """Coefficients of the orthonormal FFT of a real image, as real numbers, each times its singular value.

    Of a conjugate pair sqrt(2) Re and sqrt(2) Im are kept, of a self-conjugate coefficient Re: an orthonormal basis,
    so white noise on y is white noise on the pixels. The order is that of the flattened rfft2, Re before Im.

    Parameters
    ----------
    box: pixels a side.
    s: singular values, (m,), zero where padded.
    slot, scale: where each number lies in the rfft2 seen as reals, and its factor, (m,).
    source, factor: for every real of the rfft2 the number it is made of (m where none) and its factor.
    diagonal: eigenvalues of A^T A by rfft2 frequency, (box, box // 2 + 1).
    """

    box: int
    s: Float[Tensor, " m"]
    slot: Int[Tensor, " m"]
    scale: Float[Tensor, " m"]
    source: Int[Tensor, " reals"]
    factor: Float[Tensor, " reals"]
    diagonal: Float[Tensor, "box half"]

    @property
    def values(self) -> Float[Tensor, " r"]:
        """Return the singular values."""
        return self.s

    def analyse(self, x: Float[Tensor, "b box box"]) -> Float[Tensor, "b r"]:
        """Return the kept coefficients as real numbers."""
        reals = torch.view_as_real(torch.fft.rfft2(x, norm="ortho")).flatten(1)
        return reals[:, self.slot] * self.scale

    def synthesise(self, z: Float[Tensor, "b r"]) -> Float[Tensor, "b box box"]:
        """Return the image of these coefficients, zero at the others."""
        reals = pad(z, (0, 1))[:, self.source] * self.factor
        spectrum = torch.view_as_complex(reals.reshape(len(z), *self.diagonal.shape, 2))
        x: Tensor = torch.fft.irfft2(spectrum, s=(self.box, self.box), norm="ortho")
        return x

    def coordinates(self, y: Float[Tensor, "b m"]) -> Float[Tensor, "b r"]:
        """Return y over s, 0 where s is 0."""
        return y * invert(self.s)

    def uncoordinates(self, z: Float[Tensor, "b r"]) -> Float[Tensor, "b m"]:
        """Return z times s."""
        return z * self.s

    def fourier_diagonal(self) -> Float[Tensor, "box half"]:
        """Return s squared at every rfft2 frequency."""
        return self.diagonal

    def groups(self) -> Int[Tensor, " r"]:
        """Return the place of every number's coefficient in the rfft2: Re and Im of one share it."""
        return self.slot // 2


def decompose_filter(d: Float[np.ndarray, "box box"], m: int) -> FrequencySystem:
    """Return the singular system of a full-plane filter d(k) = d(-k), float64, padded with zeros to m numbers."""
    box = len(d)
    half = d[:, : box // 2 + 1]
    slot, scale, source, factor = _basis(box)
    values = half.ravel()[slot // 2]
    kept = np.flatnonzero(values)
    position = np.full(box**2 + 1, m)
    position[kept] = np.arange(len(kept))
    extra = m - len(kept)
    return FrequencySystem(
        box,
        torch.from_numpy(np.pad(values[kept], (0, extra))),
        torch.from_numpy(np.pad(slot[kept], (0, extra))),
        torch.from_numpy(np.pad(scale[kept], (0, extra))),
        torch.from_numpy(position[source]),
        torch.from_numpy(factor),
        torch.from_numpy(half**2),
    )


@lru_cache(maxsize=8)
def _basis(box: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return slot, scale (n,) and source, factor (2 box half) of the full real basis; source n stands for none."""
    half = box // 2 + 1
    ky, kx = np.divmod(np.arange(box * half), half)
    edge = (2 * kx) % box == 0  # the columns that hold both k and -k
    mirror = np.where(edge, (-ky % box) * half + kx, np.arange(box * half))
    single = edge & (mirror == np.arange(box * half))
    owner = np.minimum(mirror, np.arange(box * half))
    real = np.stack([2 * owner, 2 * owner + 1], axis=1).ravel()
    # The imaginary part of a self-conjugate coefficient is zero; that of the mirrored one has the other sign.
    void = np.stack([np.zeros_like(single), single], axis=1).ravel()
    sign = np.stack([np.ones(len(owner)), np.where(owner < np.arange(box * half), -1.0, 1.0)], axis=1).ravel()
    slot = np.flatnonzero((real == np.arange(2 * box * half)) & ~void)
    number = np.full(2 * box * half, box**2)
    number[slot] = np.arange(len(slot))
    scale = np.where(single[slot // 2], 1.0, np.sqrt(2.0))
    factor = sign / np.where(np.repeat(single, 2), 1.0, np.sqrt(2.0))
    return slot, scale, np.where(void, box**2, number[real]), factor
