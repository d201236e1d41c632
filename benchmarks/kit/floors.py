"""Maps that a sceptic makes of two half maps without any learned prior: what a map prior has to beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.image.volume_filters import lowpass_volume, volume_frequency
from cryoprior.metrics.fsc import fsc, volume_shells
from cryoprior.metrics.local_resolution import local_resolution

LEVELS = 12
"""Low-passes between which the local filter interpolates."""
BAND = 2.0
"""Shells over which a band falls to 0."""
WINDOW_VOXEL = 4.0
"""Deviation of the window in which the noise about a voxel is measured."""


@dataclass(frozen=True, eq=False)
class HalfMaps:
    """Two half maps without a prior, (d, d, d), a generous soft mask and the voxel size in angstrom."""

    half_1: Float[Tensor, "d d d"]
    half_2: Float[Tensor, "d d d"]
    mask: Float[Tensor, "d d d"]
    voxel_size: float

    @cached_property
    def full(self) -> Float[Tensor, "d d d"]:
        """Return the mean of both."""
        return (self.half_1 + self.half_2).double() / 2

    @cached_property
    def wiener(self) -> Float[Tensor, "d d d"]:
        """Return the mean of both with the Wiener gain of every shell, from their FSC smoothed over three shells."""
        curve = torch.nn.functional.avg_pool1d(fsc(self.half_1, self.half_2)[None], 3, 1, 1, count_include_pad=False)[
            0
        ].clamp(0, 1)
        gain = 2 * curve / (1 + curve)
        transfer = torch.cat([gain, gain.new_zeros(1)])[volume_shells(len(self.full)).long()]
        return _back(torch.fft.rfftn(self.full) * transfer)


def positive(of: HalfMaps) -> Float[Tensor, "d d d"]:
    """Return Wiener's map in the mask with negative density set to 0."""
    return (of.wiener * of.mask).clamp_min(0)


def locally_filtered(of: HalfMaps) -> Float[Tensor, "d d d"]:
    """Return the map low-passed about every voxel at its local resolution, linear in frequency between low-passes."""
    d = len(of.full)
    found = local_resolution(of.half_1, of.half_2, of.voxel_size)
    place = (d * of.voxel_size / found.double()) * LEVELS / (d // 2)  # level k passes shell k (d / 2) / LEVELS
    place = place.clamp(1, LEVELS)
    shells = [max(1.0, k * (d // 2) / LEVELS) for k in range(1, LEVELS + 1)]
    passed = torch.stack([lowpass_volume(of.full, of.voxel_size, d * of.voxel_size / shell) for shell in shells])
    low = place.floor().clamp_max(LEVELS - 1)
    share = place - low
    index = (low - 1).long()[None]
    mixed: Tensor = passed.gather(0, index)[0] * (1 - share) + passed.gather(0, index + 1)[0] * share
    return mixed


def local_wiener(of: HalfMaps) -> Float[Tensor, "d d d"]:
    """Return the map with a Wiener gain of its own for every voxel and band of shells.

    Noise and total power about a voxel are those of the half maps' difference and of their mean in a Gaussian window.

    Source: the idea of Ramlaul, Palmer, Nakane and Aylett 2020, J. Struct. Biol. 211, 107545 (SIDESPLITTER): signal to
    noise by voxel from half maps. Theirs filters the halves of every iteration; this one a finished map, once.
    """
    d = len(of.full)
    radius = volume_frequency(d) * d
    window = torch.exp(-2 * (torch.pi * WINDOW_VOXEL / d * radius).square())
    mean, difference = (torch.fft.rfftn(v) for v in (of.full, (of.half_1 - of.half_2).double() / 2))
    total = torch.zeros_like(of.full)
    for shell in range(-1, d // 2 + 2):
        band = 0.25 * (1 + torch.cos(torch.pi * ((radius - shell).abs() / BAND).clamp(0, 1)))  # all bands sum to 1
        here, noise = _back(mean * band), _back(difference * band)
        power, of_noise = (_back(torch.fft.rfftn(v.square()) * window) for v in (here, noise))
        total = total + here * (1 - of_noise / power.clamp_min(1e-300)).clamp(0, 1)
    return total


FLOORS: dict[str, Callable[[HalfMaps], Float[Tensor, "d d d"]]] = {
    "Wiener by shell": lambda of: of.wiener,
    "mask and positivity": positive,
    "local resolution": locally_filtered,
    "noise by voxel": local_wiener,
}


def _back(fourier: Tensor) -> Float[Tensor, "d d d"]:
    volume: Tensor = torch.fft.irfftn(fourier, s=(len(fourier),) * 3)
    return volume
