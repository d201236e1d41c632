"""A pilot: half maps of a few particles, which show what one particle adds to a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.image.spectrum import power_spectrum
from cryoprior.io import ParticleStack
from cryoprior.maps.judgement import judge_maps
from cryoprior.maps.map_set import MapSet
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.sources import FullParticles
from cryoprior.maps.sums import MapSettings
from cryoprior.measurement.reading import read_finite
from cryoprior.planning.keeping import EXAMPLES, Examples, by_shell
from cryoprior.planning.spectrum import SnrSpectrum, of_half_maps


@dataclass(frozen=True, eq=False)
class Pilot:
    """What n particles show."""

    n: int
    spectrum: SnrSpectrum
    examples: Examples


def run_pilot(stack: ParticleStack, settings: MapSettings, seed: int = 0) -> Pilot:
    """Return the pilot on all particles of a stack with poses.

    Raises
    ------
    InputError: particles without poses, half maps that agree in too few shells.
    """
    rows = np.arange(min(stack.n, EXAMPLES))
    maps = solve_maps(FullParticles(stack), settings, "pilot")
    return pilot_of(maps, read_finite(stack, rows), [int(i) for i in stack.index[rows]], seed)


def pilot_of(maps: MapSet, images: Float[Tensor, "n box box"], particles: Sequence[int], seed: int = 0) -> Pilot:
    """Return what the maps of a pilot show, with some of its images as examples.

    Parameters
    ----------
    images, particles: whole images, and their numbers in the stack.
    """
    judged = judge_maps(maps, seed=seed)
    share = float(judged.mask.double().square().mean())
    spectrum = of_half_maps(judged.curves.corrected, maps.n, share, maps.box, maps.voxel_size_angstrom)
    power = by_shell(power_spectrum(images - images.mean()))
    signal = torch.from_numpy(2 * np.arange(len(power)) * spectrum.mean() * share)  # over noise, of an image
    return Pilot(maps.n, spectrum, Examples(images, list(particles), power / (1 + signal)))
