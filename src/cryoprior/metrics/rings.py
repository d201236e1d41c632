"""Fourier ring correlation and power by shell.

Shell k holds the coefficients whose distance from the origin rounds to k, k = 0 .. box // 2; the corners beyond
Nyquist are left out. Every coefficient of the full plane counts once. Sums are in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor


@lru_cache(maxsize=16)
def _shells(box: int) -> tuple[Tensor, Tensor]:
    """Return the shell of every rfft2 coefficient (corners: box // 2 + 1) and how often it counts, both flat."""
    row = torch.fft.fftfreq(box, 1 / box, dtype=torch.float64)
    column = torch.arange(box // 2 + 1, dtype=torch.float64)
    shell = torch.hypot(row[:, None], column[None, :]).round().long().clamp_max(box // 2 + 1)
    twice = (column > 0) & (column != box / 2)
    count = (1 + twice.double()).expand(box, -1)
    return shell.flatten(), count.flatten()


def shell_coefficients(box: int) -> Float[Tensor, " shells"]:
    """Return the number of Fourier coefficients of the full plane in every shell 0 .. box // 2, (shells,)."""
    shell, count = _shells(box)
    return torch.zeros(box // 2 + 2, dtype=torch.float64).index_add_(0, shell, count)[:-1]


def shell_sums(values: Float[Tensor, "b box half"]) -> Float[Tensor, "b shells"]:
    """Return the sum over every shell of values given on the rfft2 half plane, (b, shells), float64."""
    box = values.shape[-2]
    shell, count = (t.to(values.device) for t in _shells(box))
    flat = values.double().flatten(1) * count
    sums = torch.zeros(len(values), box // 2 + 2, dtype=torch.float64, device=values.device)
    return sums.index_add_(1, shell, flat)[:, :-1]


@dataclass(frozen=True)
class ShellPowers:
    """Cross power and powers of pairs of images by shell, each (b, shells); sums of them pool particles."""

    cross: Float[Tensor, "b shells"]
    power_a: Float[Tensor, "b shells"]
    power_b: Float[Tensor, "b shells"]

    @property
    def frc(self) -> Float[Tensor, "b shells"]:
        """Return the Fourier ring correlation, 0 where a shell of either image is empty."""
        norm = (self.power_a * self.power_b).sqrt()
        return torch.where(norm > 0, self.cross / norm.clamp_min(1e-300), torch.zeros_like(norm))

    @property
    def power_ratio(self) -> Float[Tensor, "b shells"]:
        """Return the power of the first image over that of the second, 0 where the second has none."""
        return torch.where(self.power_b > 0, self.power_a / self.power_b.clamp_min(1e-300), self.power_a * 0)

    def pooled(self) -> ShellPowers:
        """Return the sums over all pairs, as a batch of one: numerators and denominators are summed, then divided."""
        return ShellPowers(self.cross.sum(0, True), self.power_a.sum(0, True), self.power_b.sum(0, True))

    def cpu(self) -> ShellPowers:
        """Return the same on the processor, where sums over many batches are kept."""
        return ShellPowers(self.cross.cpu(), self.power_a.cpu(), self.power_b.cpu())

    def __add__(self, other: ShellPowers) -> ShellPowers:
        return ShellPowers(self.cross + other.cross, self.power_a + other.power_a, self.power_b + other.power_b)


def shell_powers(a: Float[Tensor, "b box box"], b: Float[Tensor, "b box box"]) -> ShellPowers:
    """Return the cross power and the powers of every pair by shell."""
    fourier_a, fourier_b = torch.fft.rfft2(a, norm="ortho"), torch.fft.rfft2(b, norm="ortho")
    return ShellPowers(
        shell_sums((fourier_a * fourier_b.conj()).real),
        shell_sums(fourier_a.abs().square()),
        shell_sums(fourier_b.abs().square()),
    )


def frc(a: Float[Tensor, "b box box"], b: Float[Tensor, "b box box"]) -> Float[Tensor, "b shells"]:
    """Return the Fourier ring correlation of every pair, shells 0 .. box // 2, (b, shells)."""
    return shell_powers(a, b).frc


def pooled_frc(a: Float[Tensor, "b box box"], b: Float[Tensor, "b box box"]) -> Float[Tensor, " shells"]:
    """Return one curve for all pairs, numerators and denominators summed over particles, (shells,)."""
    return shell_powers(a, b).pooled().frc[0]


def frc_mean(curve: Float[Tensor, "... shells"], box: int) -> Float[Tensor, "..."]:
    """Return the mean of a curve over shells 1 .. box // 2, weighted with their number of coefficients."""
    weights = shell_coefficients(box)[1:].to(curve.device)
    return (curve[..., 1:].double() * weights).sum(-1) / weights.sum()


def mean_frc(x: Float[Tensor, "b box box"], reference: Float[Tensor, "b box box"]) -> Float[Tensor, " b"]:
    """Return the Fourier ring correlation of every pair as one number, its mean over shells, (b,)."""
    return frc_mean(frc(x, reference), x.shape[-1])


def frc_reach_angstrom(
    curve: Float[Tensor, " shells"], box: int, pixel_size_angstrom: float, level: float = 0.5
) -> float | None:
    """Return the resolution to which a curve stays at ``level`` or above from shell 1 on, None where it never is.

    Between two shells the crossing is found on a straight line in frequency.
    """
    values = [float(value) for value in curve[1:]]
    if not values or not values[0] >= level:
        return None
    for place, value in enumerate(values):
        if value < level:
            above = values[place - 1]
            shell = place + (above - level) / (above - value)
            return box * pixel_size_angstrom / shell
    return box * pixel_size_angstrom / len(values)


def power_ratio(a: Float[Tensor, "b box box"], b: Float[Tensor, "b box box"]) -> Float[Tensor, " shells"]:
    """Return the power of all a over the power of all b by shell, (shells,)."""
    return shell_powers(a, b).pooled().power_ratio[0]


def shell_resolution_angstrom(box: int, pixel_size_angstrom: float) -> Float[Tensor, " shells"]:
    """Return the resolution of every shell 0 .. box // 2 in angstrom, infinite for shell 0, (shells,)."""
    return box * pixel_size_angstrom / torch.arange(box // 2 + 1, dtype=torch.float64)
