"""Local resolution of two half maps: their correlation band by band, each within a Gaussian window about a voxel."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError

BANDS = 32
"""Bands between the origin and Nyquist, at most; a box of 64 has one per shell."""
BAND_WIDTH = 2.0
"""Distance, in bands, over which the cosine of a band falls from 1 to 0."""
SMALLEST_WINDOW = 3.0


def local_resolution(
    half_1: Float[Tensor, "d d d"],
    half_2: Float[Tensor, "d d d"],
    voxel_size_angstrom: float,
    window_voxel: float | None = None,
    threshold: float = 0.5,
) -> Float[Tensor, "d d d"]:
    """Return the resolution about every voxel in angstrom: where the local correlation first falls below a threshold.

    Each band of Fourier shells is cut out of both half maps by a cosine; the correlation of the two is taken under a
    Gaussian window about every voxel. The crossing is linear in frequency between bands. Voxels whose correlation
    never falls below the threshold get Nyquist; those below it from the first band on, the resolution of that band.

    Parameters
    ----------
    half_1, half_2: half maps, z y x.
    voxel_size_angstrom: angstrom per voxel.
    window_voxel: deviation of the window, an eighth of the box by default; a narrower one sees finer and is noisier.
    threshold: 0.5 by default, since a window holds too few coefficients to tell 0.143 from 0.

    Source: the local FSC of Cardone et al. 2013, J. Struct. Biol. 184; there each window has its own transform, here
    each band is filtered once for all windows, so that the windows cost nothing.

    Raises
    ------
    InputError: a window narrower than three voxels.
    """
    d = half_1.shape[-1]
    width = max(d / 8, SMALLEST_WINDOW) if window_voxel is None else float(window_voxel)
    if width < SMALLEST_WINDOW:
        raise InputError(
            f"window of {width:g} voxels: expected at least {SMALLEST_WINDOW:g}, fewer voxels hold no band of "
            "frequencies; pass a wider one"
        )
    radius = _radius(d, half_1.device)
    window = torch.exp(-2 * (torch.pi * width / d * radius).square())
    fourier = (torch.fft.rfftn(half_1.double()), torch.fft.rfftn(half_2.double()))
    step = max(1, round(d // 2 / BANDS))
    shell = torch.full((d, d, d), float(d // 2), dtype=torch.float64, device=half_1.device)
    undecided, before = torch.ones_like(shell, dtype=torch.bool), torch.ones_like(shell)
    for k in range(step, d // 2 + 1, step):
        band = 0.5 * (1 + torch.cos(torch.pi * ((radius - k).abs() / (BAND_WIDTH * step)).clamp(0, 1)))
        now = _local_correlation(fourier[0] * band, fourier[1] * band, window)
        crossed = undecided & (now < threshold)
        share = (before - threshold) / (before - now).clamp_min(1e-12)
        shell = torch.where(crossed, k - step * (1 - share) if k > step else torch.full_like(shell, k), shell)
        undecided, before = undecided & ~crossed, now
    return (d * voxel_size_angstrom / shell).to(half_1.dtype)


def _local_correlation(
    fourier_1: Tensor, fourier_2: Tensor, window: Float[Tensor, "d d half"]
) -> Float[Tensor, "d d d"]:
    """Return the correlation about zero of two maps, given by their transforms, under a window about every voxel."""
    d = fourier_1.shape[0]
    u, v = (torch.fft.irfftn(f, s=(d, d, d)) for f in (fourier_1, fourier_2))
    cross, power_u, power_v = (
        torch.fft.irfftn(torch.fft.rfftn(product) * window, s=(d, d, d)) for product in (u * v, u * u, v * v)
    )
    # a window's power is positive; where its transform leaves only rounding, there is nothing to correlate
    floor = 1e-12 * float(power_u.max() * power_v.max())
    norm = (power_u.clamp_min(0) * power_v.clamp_min(0)).clamp_min(max(floor, 1e-300)).sqrt()
    local: Tensor = cross / norm
    return local


def _radius(d: int, device: torch.device) -> Float[Tensor, "d d half"]:
    """Return the distance of every rfftn coefficient from the origin, in Fourier voxels."""
    full = torch.fft.fftfreq(d, 1 / d, dtype=torch.float64, device=device).square()
    half = torch.arange(d // 2 + 1, dtype=torch.float64, device=device).square()
    radius: Tensor = (full[:, None, None] + full[None, :, None] + half).sqrt()
    return radius
