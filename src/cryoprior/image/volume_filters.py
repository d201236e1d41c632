"""Filters of maps: low-pass, and a change of box that keeps the centre."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def volume_frequency(d: int, device: torch.device | str = "cpu") -> Float[Tensor, "d d half"]:
    """Return the spatial frequency of every rfftn coefficient in cycles per voxel, (d, d, d // 2 + 1), float64."""
    full = torch.fft.fftfreq(d, dtype=torch.float64, device=device).square()
    half = torch.fft.rfftfreq(d, dtype=torch.float64, device=device).square()
    radius: Tensor = (full[:, None, None] + full[None, :, None] + half).sqrt()
    return radius


def lowpass_volume(
    volume: Float[Tensor, "d d d"], voxel_size_angstrom: float, resolution_angstrom: float
) -> Float[Tensor, "d d d"]:
    """Return the map without what is finer than a resolution, in the map's type.

    The cosine falls from 1 to 0 between 0.75 and 1.25 of the cut-off frequency: wide enough not to ring at an edge.
    """
    d = volume.shape[-1]
    ratio = volume_frequency(d, volume.device) * (resolution_angstrom / voxel_size_angstrom)
    transfer = 0.5 * (1 + torch.cos(torch.pi * ((ratio - 0.75) / 0.5).clamp(0, 1)))
    filtered: Tensor = torch.fft.irfftn(torch.fft.rfftn(volume.double()) * transfer, s=(d, d, d))
    return filtered.to(volume.dtype)


def crop_volume_transform(volume: Float[Tensor, "d d d"], box: int) -> Float[Tensor, "box box box"]:
    """Return the map sampled at ``box`` voxels a side, an even number of at most d, centre upon centre.

    Grey values stay. What the smaller box cannot hold is left out, the lone planes at its Nyquist frequency too.
    """
    d = volume.shape[-1]
    if box == d:
        return volume
    transform = torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(volume.double())))
    start = d // 2 - box // 2
    window = slice(start, start + box)
    cropped = transform[window, window, window].clone()
    for axis in range(3):
        cropped.select(axis, 0).zero_()
    small: Tensor = torch.fft.fftshift(torch.fft.ifftn(torch.fft.ifftshift(cropped)).real) * (box / d) ** 3
    return small.to(volume.dtype)


def pad_volume_transform(volume: Float[Tensor, "d d d"], box: int) -> Float[Tensor, "box box box"]:
    """Return the map sampled at ``box`` voxels a side, centre upon centre; grey values stay.

    box: at least d, both even.
    """
    d = len(volume)
    transform = torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(volume)))
    padded = transform.new_zeros((box,) * 3)
    window = slice(box // 2 - d // 2 + 1, box // 2 + d // 2)
    padded[window, window, window] = transform[1:, 1:, 1:]  # the lone planes at Nyquist are left out
    found: Tensor = torch.fft.fftshift(torch.fft.ifftn(torch.fft.ifftshift(padded)).real) * (box / d) ** 3
    return found
