"""Numbers measured under a limited electron dose: exposures share it, electrons are counted, each number is read once.

A particle may see so many electrons and no more. Sums under b masks are b exposures: each has one b-th of the dose, and
a binary mask lets through what falls on its open pixels, about half; the rest is lost to the particle. Electrons arrive
one by one, so a count is Poisson distributed about what was expected (Schottky, Ann. Phys. 362 (1918) 541), and reading
it adds noise of the detector.

What masks cost where the noise is that of counting: M. Harwit and N. J. A. Sloane, Hadamard Transform Optics (1979);
M. Raginsky et al., IEEE Trans. Signal Process. 58 (2010) 3990. For n = K^2 pixels of nearly equal intensity, counted
under random halves of them, a pixel is known at best as by 1 / (2 n) of the dose, however many masks there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.operators import Bin, Identity, Operator, Pixel, Quantize
from cryoprior.random import numpy_stream

CONTRAST = 0.1
"""Deviation of a clean image over its mean intensity, where none is said."""
MOST_DOSE = 1e6


@dataclass(frozen=True)
class Dose:
    """What a particle sees, and how its clean image is an intensity.

    Parameters
    ----------
    electrons: per square angstrom, of all exposures of a particle together.
    readout: deviation of the noise that reading one number adds, in electrons.
    contrast: deviation of the intensity over its mean. The intensity is 1 + contrast (x - mean) / deviation.
    pixel_size: angstrom. mean, deviation: grey values of the clean images.

    Raises
    ------
    InputError: a value out of its range, images that do not vary.
    """

    electrons: float
    readout: float
    contrast: float
    pixel_size: float
    mean: float
    deviation: float

    def __post_init__(self) -> None:
        if not 0 < self.electrons <= MOST_DOSE:
            raise InputError(f"<dose> {self.electrons:g}: expected electrons per square angstrom above 0; pass some")
        if not 0 <= self.readout < np.inf:
            raise InputError(f"<readout> {self.readout:g}: expected electrons of at least 0; pass a deviation")
        if not 0 < self.contrast <= 1:
            raise InputError(
                f"<contrast> {self.contrast:g}: expected above 0, at most 1; pass a share of the intensity"
            )
        if not self.deviation > 0:
            raise InputError("<dose>: clean images that do not vary; expected particles; check them")

    def per_pixel(self, operator: Operator) -> float:
        """Return the electrons that fall on a pixel in one exposure."""
        return self.electrons * self.pixel_size**2 / exposures(operator)

    def counted(
        self, x: Float[Tensor, "b box box"], operator: Operator, seed: int, particles: list[int]
    ) -> Float[Tensor, "b m"]:
        """Return what is measured of clean images, (b, m), in their grey scale, noise of counting and reading in it."""
        summed, scale = summed_pixels(operator), self.deviation / self.contrast
        intensity = (1 + (x.double() - self.mean) / scale).clamp_min(0)
        open_area = operator.forward(torch.ones_like(x[:1].double()).expand_as(x), particles)
        expected = self.per_pixel(operator) * summed * operator.forward(intensity, particles)
        counts = torch.stack(
            [self._read(row, seed, particle) for row, particle in zip(expected, particles, strict=True)]
        )
        transmitted = counts / (self.per_pixel(operator) * summed)
        return (self.mean * open_area + scale * (transmitted - open_area)).to(x)

    def sigma(self, operator: Operator) -> float:
        """Return the root mean square of the noise on y, in the grey scale of the images, for a flat one."""
        ones = torch.ones(1, operator.box, operator.box, dtype=torch.float64)
        summed, electrons = summed_pixels(operator), self.per_pixel(operator)
        open_area = torch.cat([operator.forward(ones, [index]) for index in range(min(operator.sets, 8))])
        variance = (electrons * summed * open_area + self.readout**2) / (electrons * summed) ** 2
        return float(variance.mean().sqrt()) * self.deviation / self.contrast

    def _read(self, expected: Float[Tensor, " m"], seed: int, particle: int) -> Float[Tensor, " m"]:
        stream = numpy_stream(seed, "measure/dose", particle)
        counts = stream.poisson(expected.cpu().numpy()).astype(np.float64)
        return torch.from_numpy(counts + self.readout * stream.standard_normal(len(counts))).to(expected)


def exposures(operator: Operator) -> int:
    """Return the exposures that a measurement takes of a particle.

    Raises
    ------
    InputError: an operator whose numbers are no sums of pixels: nothing counts electrons so.
    """
    if isinstance(operator, Pixel):
        return operator.masks
    if isinstance(operator, Identity | Bin | Quantize):
        return 1
    raise InputError(
        f"<dose> with the operator {operator.name!r}: its numbers are no counts of electrons; expected sums of pixels: "
        "pixel, bin, identity or quantize; pass one of these"
    )


def summed_pixels(operator: Operator) -> int:
    """Return the pixels whose electrons are one count for each unit of the operator: bins hold means, not sums."""
    return operator.factor**2 if isinstance(operator, Bin) else 1
