"""Signal over noise of the map that one particle makes, by shell: what the resolution of many is predicted from.

Half maps of n particles agree by FSC = r / (1 + r), r = n s / 2, with s that of one particle. Beyond the shells that a
pilot determines, ln (k s) is a straight line in k^2 (Rosenthal and Henderson 2003; the 1 / k is that of slices, of
which a shell of radius k holds so much less a voxel).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.random import numpy_stream

HALF_MAPS = 0.143
MOST_FSC, LEAST_FSC = 0.995, 0.1
"""FSC of a pilot beyond which noise, or its signal, is not to be seen."""
LEAST_SHELLS = 4
FINER = 0.5
"""The line is fitted to the determined shells from this share of the last one on."""
SHAPE_ERROR = 0.15
"""Relative scatter of s about the line that the shape of a molecule makes: at least so much is taken."""

Curve = Float[np.ndarray, " shells"]


@dataclass(frozen=True, eq=False)
class SnrSpectrum:
    """s by shell, with its errors, and the line beyond.

    snr: of one particle, (shells,), 0 in shell 0. deviation: relative, of each shell. last: the finest shell that is
    known. line, covariance: of a and b in ln (k s) = a - b k^2.
    """

    box: int
    pixel_size: float
    snr: Curve
    deviation: Curve
    last: int
    line: Float[np.ndarray, "2"]
    covariance: Float[np.ndarray, "2 2"]

    @property
    def b_factor(self) -> float:
        """Return 2 b (box * pixel_size)^2, angstrom^2: that of ln N = constant + B / (2 d^2)."""
        return float(2 * self.line[1] * (self.box * self.pixel_size) ** 2)

    def draws(self, count: int, seed: int = 0) -> Float[np.ndarray, "count shells"]:
        """Return what the spectrum may be: s with errors, the line with those of its fit."""
        stream = numpy_stream(seed, "plan/spectrum")
        lines = stream.multivariate_normal(self.line, self.covariance, size=count)
        found = np.stack([self._with(line) for line in lines])
        scatter: np.ndarray = np.exp(self.deviation * stream.standard_normal(found.shape))
        return np.asarray(found * scatter)

    def mean(self) -> Curve:
        """Return s by shell: what was found up to the last known shell, the line beyond."""
        return self._with(self.line)

    def _with(self, line: Float[np.ndarray, "2"]) -> Curve:
        shells = np.arange(len(self.snr), dtype=float)
        beyond = np.exp(line[0] - line[1] * shells**2) / np.maximum(shells, 1)
        return np.where(shells > self.last, beyond, self.snr)


def of_half_maps(
    curve: Float[Tensor, " shells"], n: int, mask_share: float, box: int, pixel_size: float
) -> SnrSpectrum:
    """Return the spectrum that half maps of a pilot show.

    Parameters
    ----------
    curve: their FSC. n: particles in both. mask_share: of the box within which they were compared.

    Raises
    ------
    InputError: half maps that agree in fewer than 4 shells.
    """
    fsc = curve.double().numpy()
    below = np.flatnonzero(fsc[1:] < HALF_MAPS)
    last = int(below[0]) if len(below) else len(fsc) - 1
    if last < LEAST_SHELLS:
        raise InputError(
            f"<pilot> of {n} particles: its half maps agree in {last} shells; expected at least {LEAST_SHELLS}; "
            "take more particles, or pass <spectrum>"
        )
    kept = np.clip(fsc, LEAST_FSC, MOST_FSC)
    shells = np.arange(len(fsc))
    coefficients = np.maximum(2 * np.pi * shells**2 * mask_share, 1.0)
    deviation = (1 + kept) / (kept * np.sqrt(coefficients))
    snr = 2 * kept / ((1 - kept) * n)
    snr[0] = 0.0
    return _fitted(snr, np.minimum(deviation, 1.0), last, box, pixel_size)


def of_images(
    angstrom: Float[np.ndarray, " rows"],
    snr: Float[np.ndarray, " rows"],
    box: int,
    pixel_size: float,
    mask_share: float,
    deviation: float = SHAPE_ERROR,
) -> SnrSpectrum:
    """Return the spectrum that signal over noise of images makes.

    A shell of the map has 2 k voxels for each coefficient of a slice; a mask takes away the noise of what is beyond.

    Parameters
    ----------
    angstrom, snr: resolution, and the power of the signal (with its CTF) over that of the noise in images.
    mask_share: of the box that the particle fills.

    Raises
    ------
    InputError: fewer than 4 shells between the coarsest and the finest resolution.
    """
    shells = np.arange(box // 2 + 1)
    order = np.argsort(1 / angstrom)
    known = 1 / angstrom[order]
    at = shells / (box * pixel_size)
    logs = np.interp(at, known, np.log(np.maximum(snr[order], 1e-30)))
    last = int(np.flatnonzero(at <= known[-1] * (1 + 1e-9))[-1])
    if last < LEAST_SHELLS:
        raise InputError(
            f"<spectrum>: it ends at {1 / known[-1]:.3g} angstrom, shell {last} of a box of {box}; expected at least "
            f"{LEAST_SHELLS} shells; give finer ones"
        )
    of_one = np.exp(logs) / (2 * np.maximum(shells, 1) * mask_share)
    of_one[0] = 0.0
    return _fitted(of_one, np.full(len(shells), deviation), last, box, pixel_size)


def _fitted(snr: Curve, deviation: Curve, last: int, box: int, pixel_size: float) -> SnrSpectrum:
    """Return the spectrum with the line of its finer shells, fitted by their errors and the scatter about it."""
    first = min(max(1, math.ceil(FINER * last)), last + 1 - LEAST_SHELLS)
    shells = np.arange(first, last + 1)
    values, errors = np.log(shells * snr[shells]), np.hypot(deviation[shells], SHAPE_ERROR)
    design = np.stack([np.ones(len(shells)), -(shells**2.0)], axis=1) / errors[:, None]
    covariance = np.linalg.inv(design.T @ design)
    line = covariance @ design.T @ (values / errors)
    scatter = float(np.square(values / errors - design @ line).sum()) / max(1, len(shells) - 2)
    line[1] = max(line[1], 0.0)
    return SnrSpectrum(box, pixel_size, snr, deviation, last, line, covariance * max(1.0, scatter))
