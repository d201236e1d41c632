"""The affine map from a prior's grey scale to the input's, estimated from measurements alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.spectrum import apply_filter, shell_index
from cryoprior.operators import Operator
from cryoprior.operators.rounding import coordinate_noise, regraded
from cryoprior.random import ParticleNoise

ENOUGH_COVERAGE = 0.5

CLEAR = 3.0  # standard errors

CONTRASTS = ("auto", "bright", "dark")


@dataclass(frozen=True)
class Intensity:
    """x = scale x' + offset for x' in the prior's grey scale; a negative scale turns the contrast sign."""

    offset: float
    scale: float

    def to_prior(self, y: Float[Tensor, "b m"], operator: Operator, particles: Sequence[int]) -> Float[Tensor, "b m"]:
        """Return (y - offset A 1) / scale: the measurement of x'."""
        return (y - self.offset * _measured_ones(operator, y, particles)) / self.scale

    def operator(self, operator: Operator) -> Operator:
        """Return the operator with its levels in the prior's grey scale, as it measures x'."""
        return regraded(operator, self.scale, self.offset)

    def from_prior(self, x: Float[Tensor, "b box box"]) -> Float[Tensor, "b box box"]:
        """Return scale x' + offset."""
        return self.scale * x + self.offset


def fit_intensity(
    y: Float[Tensor, "b m"],
    operator: Operator,
    power: Float[Tensor, "box half"],
    sigma: float,
    particles: Sequence[int],
) -> Intensity:
    """Return the map, its scale positive, under which measured images have the prior's mean and power.

    The offset is the least-squares fit of A 1 to y. The scale compares the power of the coordinates z = V^T x, less
    that of their noise, with what images of the prior's spectrum would show; noisy coordinates weigh little. Both are
    pooled over the batch, which should be a fixed sample of the stack: the map belongs to the data set.

    Raises
    ------
    InputError: measurements with no power above sigma.
    """
    ones = _measured_ones(operator, y, particles)
    seen = float((ones * ones).sum())
    offset = float((y * ones).sum()) / seen if seen > 0 else 0.0
    z = operator.coordinates(y - offset * ones, particles)
    s = operator.singular_values(particles, like=y)
    variance = coordinate_noise(operator, sigma, particles, like=y) ** 2
    measured = (s > 0).expand_as(z)
    typical = float(z[measured].square().median())
    weight = measured / (1 + variance / max(typical, torch.finfo(z.dtype).tiny)) ** 2
    white = ParticleNoise(0, "intensity", particles).normal_like(y.new_empty(len(y), operator.box, operator.box))
    expected = operator.analyse(apply_filter(white, power.to(y).sqrt()), particles)
    signal = float((weight * (z**2 - variance)).sum(dtype=torch.float64))
    reference = float((weight * expected**2).sum(dtype=torch.float64))
    if not signal > 0 or not reference > 0:
        raise InputError(
            f"measurements: no power above the noise, sigma {sigma}; expected images that vary; "
            "check <sigma> of the measurement and the particles"
        )
    return Intensity(offset, (signal / reference) ** 0.5)


def contrast_clearness(x: Float[Tensor, "b box box"]) -> float:
    """Return how many standard errors the centre is brighter than its surroundings; negative for dark particles.

    The centre is the disc of radius box / 4, the surroundings the ring between 3/8 and 1/2 of the box; the standard
    error is that of the mean over the particles, so at least two are needed (0 is returned for fewer).
    """
    box = x.shape[-1]
    axis = torch.arange(box, device=x.device) - box // 2
    radius = torch.hypot(*torch.meshgrid(axis.to(x), axis.to(x), indexing="ij")) / box
    centre, ring = radius < 0.25, (radius >= 0.375) & (radius < 0.5)
    difference = x[:, centre].mean(dim=1) - x[:, ring].mean(dim=1)
    if len(difference) < 2:
        return 0.0
    error = float(difference.std()) / len(difference) ** 0.5
    return float(difference.mean()) / error if error > 0 else 0.0


@dataclass(frozen=True)
class Contrast:
    """``bright`` or ``dark`` particles, how clearly the images say so (standard errors), and who decided."""

    particles: str
    clearness: float
    decided_by: str

    @property
    def clear(self) -> bool:
        """Return whether the user decided, or the images did beyond doubt."""
        return self.decided_by == "option" or abs(self.clearness) >= CLEAR

    def __str__(self) -> str:
        seen = f"centre {self.clearness:+.1f} standard errors brighter than its surroundings"
        return f"{self.particles} particles ({'as asked; ' if self.decided_by == 'option' else ''}{seen})"


def decide_contrast(wanted: str, clearness: float) -> Contrast:
    """Return the contrast asked for, or for ``auto`` the one that the images show; bright where they show none."""
    if wanted != "auto":
        return Contrast(wanted, clearness, "option")
    return Contrast("dark" if clearness <= -CLEAR else "bright", clearness, "images")


def _measured_ones(operator: Operator, y: Float[Tensor, "b m"], particles: Sequence[int]) -> Float[Tensor, "b m"]:
    return operator.forward(y.new_ones(len(y), operator.box, operator.box), particles)


def contrast_doubt(contrast: Contrast, operator: Operator, y: Tensor, particles: Sequence[int]) -> str:
    """Return why the user should pass the contrast, an empty text where nothing speaks against it."""
    if not contrast.clear:
        return f"contrast: {contrast}; pass <contrast=bright> or dark if you know it"
    if contrast.decided_by == "images" and low_coverage(operator, y, particles) < ENOUGH_COVERAGE:
        return (
            f"contrast: {contrast}, but the masks hold few of the lowest frequencies, which can turn the sign; "
            "pass <contrast=bright> or dark if you know it"
        )
    return ""


def low_coverage(operator: Operator, y: Tensor, particles: Sequence[int]) -> float:
    """Return the share of the frequencies of shells 1 and 2 that any of the particles' masks holds.

    1 for operators that are not diagonal in the FFT: each of their numbers holds something of every frequency.
    """
    diagonal = operator.fourier_diagonal(particles, like=y)
    if diagonal is None:
        return 1.0
    shells = shell_index(operator.box, y.device)
    low = (shells == 1) | (shells == 2)
    held = (diagonal > 0).expand(len(particles), -1, -1).any(dim=0)
    return float(held[low].float().mean())
