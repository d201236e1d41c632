"""The resolution to expect of n particles of which something was kept, with what is not known of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from cryoprior.metrics.fsc import Resolution, resolution
from cryoprior.planning.spectrum import SnrSpectrum
from cryoprior.random import numpy_stream

DRAWS = 400
SIGMA = (15.87, 84.13)
"""Percentiles that stand for one deviation."""
WELL, BARELY = 0.95, 0.143
"""FSC of half maps between which more particles would show."""

Curve = Float[np.ndarray, " shells"]


@dataclass(frozen=True)
class Expected:
    """A resolution in angstrom, the finest and the coarsest within one deviation; infinite where there is no map."""

    angstrom: float
    finest: float
    coarsest: float
    nyquist_limited: bool


def expected_resolution(
    spectrum: SnrSpectrum, n: int, kept: Curve, worth: tuple[float, float] = (1.0, 0.0), seed: int = 0
) -> Expected:
    """Return where the FSC of half maps falls below 0.143.

    Parameters
    ----------
    n: particles. kept: what each is worth, in whole ones, by shell.
    worth: factor that a prior of the map adds, and its deviation.
    """
    found = _reached(half_map_curve(spectrum.mean() * worth[0], n, kept), spectrum)
    factors = worth[0] + worth[1] * numpy_stream(seed, "plan/worth").standard_normal(DRAWS)
    drawn = [
        _reached(half_map_curve(snr * max(factor, 0.0), n, kept), spectrum).angstrom
        for snr, factor in zip(spectrum.draws(DRAWS, seed), factors, strict=True)
    ]
    finest, coarsest = np.percentile(drawn, SIGMA, method="nearest")
    return Expected(
        found.angstrom,
        min(float(finest), found.angstrom),
        max(float(coarsest), found.angstrom),
        found.nyquist_limited,
    )


def half_map_curve(snr: Curve, n: int, kept: Curve) -> Curve:
    """Return the FSC of half maps of n particles, r / (1 + r) with r = n s / 2."""
    ratio = n / 2 * snr * kept
    curve: Curve = ratio / (1 + ratio)
    return curve


def effective_particles(spectrum: SnrSpectrum, n: int, kept: Curve) -> float:
    """Return how many whole particles are worth as much: the geometric mean over shells in which more would show."""
    whole = half_map_curve(spectrum.mean(), n, np.ones_like(kept))
    open_to_more = (whole < WELL) & (whole > BARELY) & (np.arange(len(kept)) > 0)
    shells = open_to_more if open_to_more.any() else np.arange(len(kept)) > 0
    return float(n * np.exp(np.log(np.maximum(kept[shells], 1e-12)).mean()))


def _reached(curve: Curve, spectrum: SnrSpectrum) -> Resolution:
    whole = curve.copy()
    whole[0] = 1.0
    return resolution(torch.from_numpy(whole), spectrum.box, spectrum.pixel_size)
