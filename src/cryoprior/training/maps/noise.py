"""The noise of the maps that a map prior is trained on: any level, any B-factor, and the mark of the CTF."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.prior.volume.evidence import KNOTS, SNR_RANGE
from cryoprior.prior.volume.whitening import SignalSpectrum

CROSSING = (0.2, 1.2)
"""Where, in units of Nyquist, signal and noise are equal."""
B_RANGE = (0.0, 250.0)
CONTRAST, FIRST_ZERO_ANGSTROM = 0.02, 30.0
"""Mean CTF^2 at frequency 0, and the resolution above which it has reached its mean over many defoci."""
RIPPLE, RIPPLES = 0.35, 4
LOWEST_LOG, HIGHEST_LOG = (math.log(value) for value in SNR_RANGE)


def draw_snr(voxel_size: float, spectrum: SignalSpectrum, generator: np.random.Generator) -> Float[Tensor, " knots"]:
    """Return the ratio of signal to noise inside the molecule at the knots, 0 to Nyquist.

    White noise in images, divided by the mean CTF^2 of many defoci, against the molecule's own power with a B-factor;
    a few smooth ripples stand for views and weights.
    """
    fraction = torch.linspace(0, 1, KNOTS, dtype=torch.float64)
    frequency = fraction / (2 * voxel_size)
    transfer = CONTRAST + 0.5 * (1 - (-(frequency * FIRST_ZERO_ANGSTROM).square()).exp())
    curve = spectrum.log_at(frequency) - 0.5 * generator.uniform(*B_RANGE) * frequency.square() + transfer.log()
    for m in range(1, RIPPLES + 1):
        curve = curve + RIPPLE * generator.normal() * torch.cos(math.pi * m * fraction + generator.uniform(0, 6.283))
    crossing = generator.uniform(*CROSSING)
    place = min(crossing, 1.0) * (KNOTS - 1)
    level = curve[round(place)] - 2.0 * max(0.0, crossing - 1) / 0.2
    return (curve - level).clamp(LOWEST_LOG, HIGHEST_LOG).exp().float()
