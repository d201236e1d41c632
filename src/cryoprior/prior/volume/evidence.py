"""What the network of the map prior is told: linear estimates of a whitened map, and the noise by frequency.

In the whitened domain the signal has unit variance per voxel inside the molecule, the same in every shell, so that the
noise is told by one curve: the ratio of signal to noise by frequency, from 0 to Nyquist.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

KNOTS = 33
"""Frequencies, evenly spaced from 0 to Nyquist, at which the ratio of signal to noise is known."""
STRICTNESS = (1.0, 10.0, 0.1)
"""Gains r / (r + t) of the input planes: the Wiener estimate, its low-pass, and one that lets more noise in."""
PLANES = len(STRICTNESS)
ASKED = 0.05
"""h = r / (r + 0.05): a shell with less signal than this, beside its noise, is hardly asked for."""
TOLD = 16
CONDITIONS = TOLD + 1
SNR_RANGE = (1e-3, 1e4)


@dataclass(frozen=True, eq=False)
class MapEvidence:
    """What is known of whitened maps.

    planes: linear estimates of unit scale. linear: h times the Wiener estimate. error: its root mean square error by
    voxel, inside the molecule. condition: signal to noise by frequency (log10), and the voxel size. asked: h by knot.
    """

    planes: Float[Tensor, "b planes d d d"]
    linear: Float[Tensor, "b d d d"]
    error: Float[Tensor, "b"]
    condition: Float[Tensor, "b conditions"]
    asked: Float[Tensor, "b knots"]


def map_evidence(
    fourier: Tensor, snr: Float[Tensor, "b knots"], voxel_size: Float[Tensor, "b"], box: int
) -> MapEvidence:
    """Return what is known of whitened maps.

    Parameters
    ----------
    fourier: orthonormal rfftn of the whitened maps, (b, box, box, half).
    snr: ratio of signal to noise at the knots.
    voxel_size: angstrom.
    """
    snr = snr.clamp(*SNR_RANGE)
    ratio = on_grid(snr, box)
    inside = ratio > 0
    planes = []
    for strictness in STRICTNESS:
        gain = torch.where(inside, ratio / (ratio + strictness), ratio)
        power = mode_mean(gain.square() * torch.where(inside, 1 + 1 / ratio, ratio), box)
        planes.append(_back(fourier * gain, box) / power.sqrt()[:, None, None, None])
    asked = asked_share(snr)
    wanted = on_grid(asked, box)
    linear = _back(fourier * wanted * torch.where(inside, ratio / (ratio + 1), ratio), box)
    error = mode_mean(wanted.square() / (ratio + 1), box).sqrt()
    return MapEvidence(torch.stack(planes, 1), linear, error, condition(snr, voxel_size), asked)


def asked_share(snr: Float[Tensor, "b knots"]) -> Float[Tensor, "b knots"]:
    """Return h, what share of a shell's density the network is asked for."""
    return snr / (snr + ASKED)


def condition(snr: Float[Tensor, "b knots"], voxel_size: Float[Tensor, "b"]) -> Float[Tensor, "b conditions"]:
    """Return what the network is told of noise and voxel size, numbers of order 1."""
    places = torch.linspace(0, KNOTS - 1, TOLD, device=snr.device).round().long()
    told = snr[:, places].log10().clamp(-2, 3) / 2
    return torch.cat((told, (voxel_size[:, None] / 3).log()), 1)


def mode_mean(values: Float[Tensor, "b d d half"], box: int) -> Float[Tensor, "b"]:
    """Return the mean over the full transform of values on the rfftn grid, (b,)."""
    twice = torch.full((box // 2 + 1,), 2.0, device=values.device)
    twice[0] = 1
    if box % 2 == 0:
        twice[-1] = 1
    mean: Tensor = (values * twice).sum((1, 2, 3)) / box**3
    return mean


def frequencies(box: int, device: torch.device | str = "cpu") -> Float[Tensor, "d d half"]:
    """Return the distance from the origin of every coefficient of the rfftn grid; 1 at Nyquist."""
    axis = torch.fft.fftfreq(box, 0.5, device=device)
    half = torch.fft.rfftfreq(box, 0.5, device=device)
    radius: Tensor = (axis[:, None, None].square() + axis[:, None].square() + half.square()).sqrt()
    return radius


def on_grid(knots: Float[Tensor, "b knots"], box: int) -> Float[Tensor, "b d d half"]:
    """Return curves by frequency on the rfftn grid, linear between knots, 0 beyond Nyquist."""
    place = frequencies(box, knots.device) * (knots.shape[-1] - 1)
    low = place.floor().long().clamp_max(knots.shape[-1] - 2)
    share = place - low
    values = knots[:, low] * (1 - share) + knots[:, low + 1] * share
    return torch.where(place <= knots.shape[-1] - 1, values, torch.zeros_like(values))


def at_knots(curve: Float[Tensor, " shells"]) -> Float[Tensor, " knots"]:
    """Return a curve by shell, 0 to Nyquist, at the knots; linear between shells."""
    place = torch.linspace(0, len(curve) - 1, KNOTS, device=curve.device)
    low = place.floor().long().clamp_max(len(curve) - 2)
    share = place - low
    knots: Tensor = curve[low] * (1 - share) + curve[low + 1] * share
    return knots


def gaussian_smooth(volume: Float[Tensor, "d d d"], deviation: float) -> Float[Tensor, "d d d"]:
    """Return the volume smoothed by a Gaussian of a standard deviation in voxels, on a torus."""
    box = volume.shape[-1]
    gain = (-0.5 * (math.pi * deviation * frequencies(box, volume.device)).square()).exp()
    smooth: Tensor = torch.fft.irfftn(torch.fft.rfftn(volume) * gain, s=(box,) * 3)
    return smooth


def _back(fourier: Tensor, box: int) -> Float[Tensor, "b d d d"]:
    volume: Tensor = torch.fft.irfftn(fourier, s=(box,) * 3, norm="ortho", dim=(-3, -2, -1))
    return volume
