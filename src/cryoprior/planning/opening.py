"""Where signal and noise of a plan come from: particles with poses, or a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cryoprior.errors import InputError
from cryoprior.io import read_particles
from cryoprior.maps.sums import MapSettings
from cryoprior.planning.files import read_spectrum
from cryoprior.planning.keeping import Examples
from cryoprior.planning.pilot import run_pilot
from cryoprior.planning.spectrum import SnrSpectrum, of_images

PARTICLE = 2 / 3
"""Diameter of a particle in boxes, where it is not said."""


@dataclass(frozen=True, eq=False)
class Opened:
    """What a plan starts from; ``n`` particles are there, ``source`` says in words where it comes from."""

    n: int
    spectrum: SnrSpectrum
    examples: Examples
    source: str


def of_particles(path: Path, pilot: int, settings: MapSettings, seed: int, **companions: Any) -> Opened:
    """Return what a pilot of the first particles shows.

    Raises
    ------
    InputError: as ``map`` raises; a pilot whose half maps agree in too few shells.
    """
    stack = read_particles(path, **companions)
    found = run_pilot(stack.subset(slice(min(pilot, stack.n))), settings, seed)
    return Opened(stack.n, found.spectrum, found.examples, f"half maps of {found.n:,} particles of {path.name}")


def of_table(path: Path, n: int, box: int, pixel_size: float, diameter: float | None, seed: int) -> Opened:
    """Return what a table of signal over noise of images says.

    Raises
    ------
    InputError: another table, a particle that is larger than the box.
    """
    angstrom, snr = read_spectrum(path)
    across = PARTICLE * box * pixel_size if diameter is None else diameter
    if across > box * pixel_size:
        raise InputError(
            f"<diameter> {across:g}: a box of {box * pixel_size:g} angstrom holds less; pass a smaller one"
        )
    share = math.pi / 6 * (across / (box * pixel_size)) ** 3
    spectrum = of_images(angstrom, snr, box, pixel_size, share)
    shells = np.arange(box // 2 + 1)
    of_image = torch.from_numpy(2 * shells * spectrum.mean() * share)
    return Opened(n, spectrum, Examples.drawn(of_image, box, seed), f"{path.name}, a particle of {across:.0f} Å")
