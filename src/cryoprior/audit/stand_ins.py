"""Particles in place of the real ones, with their poses, CTF and measurement: random phases, or noise alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.image.spectrum import power_spectrum, radial_average, shell_index
from cryoprior.io.rows import spread_rows
from cryoprior.maps.geometry import Geometry
from cryoprior.maps.source import Source, Views
from cryoprior.random import ParticleNoise

SPECTRUM_PARTICLES = 256
"""Particles from which the power of the images is read."""
TINY = 1e-300


@dataclass(frozen=True)
class InPlace(Source):
    """Particles in all but their images; ``seed`` is that of what takes the place of those."""

    source: Source
    seed: int

    @property
    def path(self) -> Path:
        return self.source.path

    @property
    def files(self) -> tuple[Path, ...]:
        return self.source.files

    @property
    def n(self) -> int:
        return self.source.n

    @property
    def box(self) -> int:
        return self.source.box

    @property
    def geometry(self) -> Geometry:
        return self.source.geometry

    @property
    def mixes(self) -> bool:
        return self.source.mixes

    @property
    def mask_sets(self) -> np.ndarray:
        return self.source.mask_sets

    def seen(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        return self.source.seen(images, rows)

    def noise(self, stage: str, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        """Return white noise of deviation 1 for these rows, each of its own stream."""
        return ParticleNoise(self.seed, stage, [int(row) for row in rows]).normal_like(images)


@dataclass(frozen=True)
class RandomPhases(InPlace):
    """The particles with random phases from a shell on, as they would have been measured; amplitudes stay.

    Source: Chen et al. 2013, Ultramicroscopy 135, 24.
    """

    from_shell: int

    def views(self, rows: np.ndarray) -> Views:
        images, share = self.source.views(rows)
        box = images.shape[-1]
        fourier = torch.fft.rfft2(images.double())
        phases = torch.fft.rfft2(self.noise("audit/random-phases", images, rows).double()).sgn()
        beyond = shell_index(box, images.device) >= self.from_shell
        mixed = torch.where(beyond, fourier.abs() * phases, fourier)
        return self.seen(torch.fft.irfft2(mixed, s=(box, box)).to(images), rows), share


@dataclass(frozen=True)
class NoiseAlone(InPlace):
    """Noise with the mean power of the particles by frequency, as it would have been measured."""

    @cached_property
    def amplitude(self) -> Float[Tensor, "box half"]:
        """Root mean power of the images, as if they had been measured in full, on the rfft2 grid."""
        images, share = self.source.views(spread_rows(self.n, SPECTRUM_PARTICLES))
        power = radial_average(power_spectrum(images))
        if share is not None:
            power = power / radial_average(share.double().mean(0).to(power)).clamp_min(TINY)
        return power.sqrt()[shell_index(self.box, images.device)]

    def views(self, rows: np.ndarray) -> Views:
        images, share = self.source.views(rows)
        box = images.shape[-1]
        white = torch.fft.rfft2(self.noise("audit/noise-alone", images, rows).double())
        made = torch.fft.irfft2(white * self.amplitude, s=(box, box)).to(images)
        return self.seen(made, rows), share
