"""Fourier shell correlation of two maps, its phase-randomised correction, and the resolution it gives.

Shell k holds the coefficients whose distance from the origin rounds to k, k = 0 .. d // 2; the corners beyond Nyquist
are left out. Every coefficient of the full transform counts once. Sums are in float64: the curves of
torch_fourier_shell_correlation spread a coefficient over two shells, which smooths them, and set shell 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.random import numpy_stream

RANDOMISE_BELOW = 0.8
"""Phases are randomised from the first shell whose unmasked FSC is below this."""
CORRECT_AFTER = 2
"""Shells beyond that one which keep the masked curve, since the step in the phases leaks over them."""


@dataclass(frozen=True)
class FscCurves:
    """The curves of two half maps, each (shells,) float64.

    ``randomised_from`` is the shell from which phases were randomised, None where the unmasked curve never falls
    below 0.8; nothing is corrected then, and ``randomised`` is the masked curve.
    """

    unmasked: Float[Tensor, " shells"]
    masked: Float[Tensor, " shells"]
    randomised: Float[Tensor, " shells"]
    corrected: Float[Tensor, " shells"]
    randomised_from: int | None


@dataclass(frozen=True)
class Resolution:
    """A resolution in angstrom; ``nyquist_limited`` where the curve never falls below the threshold.

    Infinite where no shell reaches the threshold: there is none then.
    """

    angstrom: float
    nyquist_limited: bool

    @property
    def known(self) -> bool:
        """Whether there is one."""
        return math.isfinite(self.angstrom)

    @property
    def stated(self) -> float | None:
        """The resolution for a summary, None where there is none."""
        return self.angstrom if self.known else None


NO_RESOLUTION = Resolution(math.inf, nyquist_limited=False)


@lru_cache(maxsize=2)
def _shells(d: int) -> tuple[Int[Tensor, "d d half"], Float[Tensor, " half"]]:
    """Return the shell of every rfftn coefficient (corners: d // 2 + 1) and how often each column counts."""
    axis = torch.fft.fftfreq(d, 1 / d, dtype=torch.float64).square()
    column = torch.arange(d // 2 + 1, dtype=torch.float64)
    radius = (axis[:, None, None] + axis[None, :, None] + column.square()[None, None, :]).sqrt_()
    twice = (column > 0) & (column != d / 2)
    return radius.round_().clamp_max_(d // 2 + 1).to(torch.int32), 1 + twice.double()


def volume_shells(d: int, device: torch.device | str = "cpu") -> Int[Tensor, "d d half"]:
    """Return the shell of every rfftn coefficient, its radius rounded; d // 2 + 1 for the corners beyond Nyquist."""
    return _shells(d)[0].to(device)


def volume_shell_sums(values: Float[Tensor, "d d half"]) -> Float[Tensor, " shells"]:
    """Return the sum over every shell 0 .. d // 2 of values given on the rfftn half space, (shells,), float64."""
    d = values.shape[0]
    shell, count = (t.to(values.device) for t in _shells(d))
    sums = torch.zeros(d // 2 + 2, dtype=torch.float64, device=values.device)
    return sums.index_add_(0, shell.flatten(), (values.double() * count).flatten())[:-1]


def fsc(a: Float[Tensor, "d d d"], b: Float[Tensor, "d d d"]) -> Float[Tensor, " shells"]:
    """Return the Fourier shell correlation of two maps, shells 0 .. d // 2, float64; 0 where a shell is empty."""
    fourier_a, fourier_b = torch.fft.rfftn(a.double(), norm="ortho"), torch.fft.rfftn(b.double(), norm="ortho")
    cross = volume_shell_sums((fourier_a * fourier_b.conj()).real)
    norm = (volume_shell_sums(_power(fourier_a)) * volume_shell_sums(_power(fourier_b))).sqrt()
    return torch.where(norm > 0, cross / norm.clamp_min(1e-300), torch.zeros_like(norm))


def randomise_phases(
    volume: Float[Tensor, "d d d"], from_shell: int, seed: int, half: int = 0
) -> Float[Tensor, "d d d"]:
    """Return the volume with random phases in all shells from ``from_shell`` on, corners included; amplitudes stay.

    The phases are those of white noise, so they are Hermitian and the result is real. ``half`` names the stream:
    two half maps need different ones.
    """
    d = volume.shape[-1]
    noise = numpy_stream(seed, "fsc/randomise-phases", half).standard_normal((d, d, d))
    random = torch.fft.rfftn(torch.from_numpy(noise).to(volume.device), norm="ortho")
    fourier = torch.fft.rfftn(volume.double(), norm="ortho")
    mixed = torch.where(volume_shells(d, volume.device) >= from_shell, fourier.abs() * random.sgn(), fourier)
    randomised: Tensor = torch.fft.irfftn(mixed, s=(d, d, d), norm="ortho")
    return randomised.to(volume.dtype)


def fsc_curves(
    half_1: Float[Tensor, "d d d"], half_2: Float[Tensor, "d d d"], mask: Float[Tensor, "d d d"], seed: int = 0
) -> FscCurves:
    """Return the FSC of two half maps without mask, with it, with it after phases were randomised, and corrected.

    The corrected curve is (masked - randomised) / (1 - randomised) from two shells beyond the first randomised one.

    Source: Chen et al. 2013, Ultramicroscopy 135, Eq. 4; the margin of two shells is that of RELION's postprocess.
    """
    unmasked, masked = fsc(half_1, half_2), fsc(half_1 * mask, half_2 * mask)
    below = torch.nonzero(unmasked[1:] < RANDOMISE_BELOW)
    if len(below) == 0:
        return FscCurves(unmasked, masked, masked, masked, None)
    start = int(below[0]) + 1
    halves = [randomise_phases(half, start, seed, index) for index, half in enumerate((half_1, half_2))]
    randomised = fsc(halves[0] * mask, halves[1] * mask)
    true = (masked - randomised) / (1 - randomised).clamp_min(1e-12)
    shell = torch.arange(len(masked), device=masked.device)
    return FscCurves(unmasked, masked, randomised, torch.where(shell < start + CORRECT_AFTER, masked, true), start)


def resolution(
    curve: Float[Tensor, " shells"], box: int, voxel_size_angstrom: float, threshold: float = 0.143
) -> Resolution:
    """Return the resolution at which a curve first falls below the threshold, linear in frequency between shells.

    Shell 0 is skipped. A curve below the threshold from shell 1 on has no resolution; one that never falls below it
    that of the last shell, with ``nyquist_limited``.

    Raises
    ------
    InputError: a curve of another number of shells than the box has, or with NaN.
    """
    values = curve.double().tolist()
    if len(values) != box // 2 + 1 or len(values) < 2 or any(math.isnan(v) for v in values):
        raise InputError(f"FSC of {len(values)} shells for a box of {box}: expected {box // 2 + 1} finite shells")
    edge = box * voxel_size_angstrom
    shell = next((k for k in range(1, len(values)) if values[k] < threshold), None)
    if shell is None:
        return Resolution(edge / (box // 2), nyquist_limited=True)
    if shell == 1:
        return NO_RESOLUTION
    above, below = values[shell - 1], values[shell]
    return Resolution(edge / (shell - 1 + (above - threshold) / (above - below)), nyquist_limited=False)


def _power(fourier: Tensor) -> Tensor:
    return fourier.real.square() + fourier.imag.square()
