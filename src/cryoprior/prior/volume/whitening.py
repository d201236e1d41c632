"""Whitening: maps divided by the mean radial amplitude of molecules, so that all shells count alike.

The mean power by frequency of the training set is a curve; a map may differ from it by its grey scale and by a
B-factor, which are read from the map itself. What remains has unit variance inside the molecule in every shell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.prior.volume.evidence import gaussian_smooth, mode_mean

LOWEST = 0.012
"""1 / angstrom: below it the power is that of the molecule's outline, not of its kind."""
LOCAL_ANGSTROM = 8.0
"""Standard deviation of the window in which the energy of the map is local."""
CLEAR = 1.25
"""How many times the energy of the noise a place must have to count: solvent is most of a box."""
B_DEVIATION = 100.0
"""How far, in square angstrom, B-factors are thought to lie from that of the curve, where a map cannot tell."""
SCATTER, CROWDED = 0.3, 6
"""How far the log power of a shell lies from a smooth curve, and the shell from which that many coefficients say so."""
FAINTEST = 1e-12
"""Of the strongest shell: rounding."""


@dataclass(frozen=True)
class SignalSpectrum:
    """The mean power of molecules by frequency: log of it at evenly spaced frequencies from 0 to ``highest``.

    highest: 1 / angstrom; beyond it the last slope goes on as a constant.
    """

    highest: float
    log_power: tuple[float, ...]

    def log_at(self, frequency: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the log power at frequencies in 1 / angstrom."""
        curve = torch.tensor(self.log_power, dtype=frequency.dtype, device=frequency.device)
        place = (frequency.clamp(LOWEST, self.highest) / self.highest) * (len(curve) - 1)
        low = place.floor().long().clamp_max(len(curve) - 2)
        share = place - low
        return curve[low] * (1 - share) + curve[low + 1] * share

    def shells(self, box: int, voxel_size: float) -> Float[Tensor, " shells"]:
        """Return the log power at the shells 0 .. box // 2 of a box, float64."""
        return self.log_at(torch.arange(box // 2 + 1, dtype=torch.float64) / (box * voxel_size))


def mean_spectrum(
    curves: Sequence[tuple[Float[Tensor, " shells"], Float[Tensor, " shells"]]], highest: float
) -> SignalSpectrum:
    """Return the mean over molecules of log power, each shifted to a mean of 0 between 1/20 and 1/6 per angstrom.

    curves: power by shell of each molecule, and the shells' frequencies in 1 / angstrom, up to ``highest`` at most.
    A molecule counts up to its own Nyquist frequency; beyond all of them the last value goes on.
    """
    grid = np.linspace(0, highest, 48)
    total, count = np.zeros_like(grid), np.zeros_like(grid)
    for power, frequency in curves:
        logs = power.clamp_min(FAINTEST * float(power.max())).log().numpy()
        places = frequency.numpy()
        band = (places > 1 / 20) & (places < 1 / 6)
        level = logs[band if band.any() else places > 0].mean()
        reached = grid <= places[-1] * (1 + 1e-6)
        total += reached * np.interp(grid, places, logs - level)
        count += reached
    last = int(np.flatnonzero(count)[-1])
    mean = total / np.maximum(count, 1)
    mean[last:] = mean[last]
    return SignalSpectrum(highest, tuple(float(value) for value in mean))


def fitted_shape(
    power: Float[Tensor, " shells"],
    reliable: Float[Tensor, " shells"],
    spectrum: SignalSpectrum,
    box: int,
    voxel_size: float,
) -> Float[Tensor, " shells"]:
    """Return the log power by shell of the curve with this map's grey scale and B-factor.

    Parameters
    ----------
    power: of the signal, by shell. reliable: signal's share of what was measured, 0 to 1.
    """
    frequency = torch.arange(box // 2 + 1, dtype=torch.float64) / (box * voxel_size)
    base = spectrum.log_at(frequency)
    crowded = (torch.arange(box // 2 + 1, dtype=torch.float64) / CROWDED).clamp_max(1).square()
    weight = reliable.double().square() * crowded / SCATTER**2 * (frequency >= 2 * LOWEST) * (power > 0)
    if not float(weight.sum()) > 0:
        weight = torch.ones_like(weight) * (power > 0)
    excess = power.double().clamp_min(1e-300).log() - base
    squares = frequency.square()
    mean_excess, mean_square = ((weight * t).sum() / weight.sum() for t in (excess, squares))
    covariance = (weight * (squares - mean_square) * (excess - mean_excess)).sum()
    slope = covariance / ((weight * (squares - mean_square).square()).sum() + (4 / B_DEVIATION**2))
    return base + mean_excess + slope * (squares - mean_square)


def local_variance(
    wiener: Float[Tensor, "d d d"],
    gain: Float[Tensor, "d d half"],
    noise: Float[Tensor, "d d half"],
    voxel_size: float,
) -> float:
    """Return the variance of the signal inside the molecule, however much solvent lies around it.

    The mean of the local energy, weighted by how far it rises above that of the noise, is that of the molecule; what
    the noise adds is taken off, and what the gain took away is given back.

    Parameters
    ----------
    wiener: the map times ``gain``. noise: its power in the map, by coefficient.
    """
    box = wiener.shape[-1]
    energy = wiener.square()
    passed = float(mode_mean(gain.square()[None], box))
    added = float(mode_mean((gain.square() * noise)[None], box))
    weight = (gaussian_smooth(energy, LOCAL_ANGSTROM / voxel_size) - CLEAR * added).clamp_min(0)
    local = float((energy * weight).sum() / weight.sum().clamp_min(1e-300))
    return max(local - added, 0.1 * added) / passed
