"""The reference of a pose search, brought to the particles' sign and grey scale before any pose is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cryoprior.image.projection import project_particles
from cryoprior.image.spectrum import frequency_radius, soft_disc
from cryoprior.image.transfer import particle_transfer
from cryoprior.io import ParticleStack
from cryoprior.io.rows import row_batches, spread_rows

COARSE_ANGSTROM = 40.0
"""Beyond this resolution no shell takes part in finding the scale: shifts would wash it out."""

PARTICLES, BATCH = 2048, 128
CLEAR = 4.0
"""The scale is taken as known when it is this many standard errors from 0."""


@dataclass(frozen=True)
class Scale:
    """How the images' grey values follow from the map's.

    factor: grey value of an image over that of the map's projection; negative where the contrasts are opposite.
    clearness: the factor in its standard errors. noise: standard deviation of a background pixel.
    """

    factor: float
    clearness: float
    noise: float

    @property
    def clear(self) -> bool:
        """Whether sign and size can be relied on."""
        return abs(self.clearness) >= CLEAR


def find_scale(particles: ParticleStack, volume: np.ndarray, radius_pixel: float) -> Scale:
    """Return the scale of the images over the map, from all orientations together.

    Averaged over all orientations, an image is the projection of the spherical average of the map, times its CTF. The
    scale is the least-squares one over particles, up to 40 A. Particles of few views bias it, but not its sign.

    Parameters
    ----------
    particles: at most 2048 of them, evenly spread, are read.
    volume: z y x, box as the particles.
    radius_pixel: outside it is background.
    """
    rows = spread_rows(len(particles), PARTICLES)
    expected = torch.fft.rfft2(_spherical_projection(volume))
    outside = background(particles.box, radius_pixel)
    cross, power, noise = [], [], []
    for batch in row_batches(len(rows), BATCH):
        part = particles.subset(rows[batch])
        images = torch.from_numpy(np.array(part.read(slice(None)))).double()
        images, variance = without_background(images, outside)
        model = torch.fft.irfft2(expected * _transfer(part), s=images.shape[-2:])
        cross.append((images * model).sum((-2, -1)))
        power.append(model.square().sum((-2, -1)))
        noise.append(variance)
    return _fit(torch.cat(cross), torch.cat(power), torch.cat(noise))


def background(box: int, radius_pixel: float) -> Tensor:
    """Return the weights of the pixels outside the particle, 0 to 1, (box, box)."""
    return 1 - soft_disc(box, radius_pixel)


def without_background(images: Tensor, outside: Tensor) -> tuple[Tensor, Tensor]:
    """Return the images less the mean of their background, and the variance of each background, (b,)."""
    total = outside.sum()
    images = images - (images * outside).sum((-2, -1), keepdim=True) / total
    return images, (images.square() * outside).sum((-2, -1)) / total


def _transfer(particles: ParticleStack) -> Tensor:
    """Return what the images hold of a projection up to the highest frequency that takes part, (b, box, half).

    A magnification changes the frequency alone, by a few per cent, and the average of the map knows no direction.
    """
    pixel_size, parameters = torch.tensor(particles.pixel_size), particles.ctf_parameters()
    radius = frequency_radius(particles.box) / pixel_size[:, None, None]
    band = ((radius > 0) & (radius <= _coarse(particles))).double()
    if parameters is None:
        return band
    tensors = {name: torch.tensor(values) for name, values in parameters.items()}
    return band * particle_transfer(tensors, pixel_size, particles.box).image


def _coarse(particles: ParticleStack) -> float:
    """Return the highest frequency that takes part, 1 / A: at least the first three shells do."""
    return max(1 / COARSE_ANGSTROM, 3 / (particles.box * float(particles.pixel_size[0])))


def _fit(cross: Tensor, power: Tensor, noise: Tensor) -> Scale:
    factor = float(cross.sum() / power.sum())
    rest = cross - factor * power
    error = float(rest.square().sum().sqrt() / power.sum())
    return Scale(factor, factor / error if error > 0 else float("inf"), float(noise.mean().sqrt()))


def _spherical_projection(volume: np.ndarray) -> Tensor:
    """Return the projection of the map's average over all orientations, (box, box)."""
    axis = np.arange(len(volume)) - len(volume) // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    shell = np.rint(np.sqrt(z**2 + y**2 + x**2)).astype(np.int64)
    sums = np.bincount(shell.ravel(), volume.ravel().astype(np.float64))
    means = sums / np.maximum(np.bincount(shell.ravel()), 1)
    averaged = torch.from_numpy(means[shell].astype(np.float32))
    return project_particles(averaged, torch.zeros(1, 3), torch.zeros(1, 2))[0].double()
