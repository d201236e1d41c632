"""Noise of a given spectrum for simulated particles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image import (
    apply_filter,
    background_spectrum,
    radial_average,
    radial_filter,
)
from cryoprior.image.spectrum import pixel_variance
from cryoprior.io import read_particles
from cryoprior.io.tables import read_csv_table
from cryoprior.random import numpy_stream
from cryoprior.simulation.optics import finite_numbers

NOISE_PARTICLES = 256
"""Particles of a stack from which the spectrum of its noise is taken."""


def white_power(box: int) -> Float[Tensor, "box half"]:
    """Return the power of white noise of pixel variance 1 on the rfft2 grid."""
    return torch.ones(box, box // 2 + 1, dtype=torch.float64)


def noise_files(path: Path | None) -> list[Path]:
    """Return the files that :func:`read_noise` reads: the spectrum, or a particle file with its image stacks."""
    if path is None:
        return []
    return [path] if path.suffix == ".csv" else [path, *read_particles(path).files]


def read_noise(
    path: Path | None, box: int, pixel_size: float, radius_angstrom: float | None
) -> Float[Tensor, "box half"]:
    """Return the noise power on the rfft2 grid with pixel variance 1: white, from a spectrum or outside real particles.

    Parameters
    ----------
    path: a CSV with ``frequency_per_angstrom`` and ``power``, a particle stack, or None for white noise.
    radius_angstrom: the particle radius in that stack; 0.42 of its box where None. Beyond the Nyquist frequency of the
        stack its last value is kept.

    Raises
    ------
    InputError: a missing file or column, values that are no powers, a radius that leaves no background.
    """
    if path is None:
        return white_power(box)
    if path.suffix == ".csv":
        frequency, curve = _read_spectrum(path)
    else:
        stack = read_particles(path)
        images = torch.as_tensor(stack.read(np.arange(min(stack.n, NOISE_PARTICLES))))
        spacing = float(stack.pixel_size[0])
        radius = 0.42 * stack.box if radius_angstrom is None else radius_angstrom / spacing
        curve = radial_average(background_spectrum(images, radius))[: stack.box // 2 + 1]
        frequency = torch.arange(len(curve), dtype=torch.float64) / (stack.box * spacing)
    power = radial_filter(curve, frequency * pixel_size, box)
    return power / pixel_variance(power)


def _read_spectrum(path: Path) -> tuple[Float[Tensor, "k"], Float[Tensor, "k"]]:
    columns = ["frequency_per_angstrom", "power"]
    table = read_csv_table(path, "a CSV with frequency_per_angstrom and power, or a stack")
    if not set(columns) <= set(table):
        raise InputError(f"{path}: columns {', '.join(table)}; expected frequency_per_angstrom and power")
    numbers = finite_numbers(path, table[columns])
    frequency, power = (torch.from_numpy(numbers[c].to_numpy(copy=True)) for c in columns)
    if len(power) < 2 or bool((frequency.diff() <= 0).any()) or bool((power < 0).any()) or not bool(power.any()):
        raise InputError(
            f"{path}: {len(power)} rows; expected at least 2 rows with increasing frequency_per_angstrom and powers of "
            "at least 0; `cryoprior simulate` writes such a noise_spectrum.csv"
        )
    return frequency, power


def coloured_noise(rows: np.ndarray, power: Float[Tensor, "box half"], seed: int) -> Float[Tensor, "b box box"]:
    """Return stationary Gaussian noise of the given power, each particle from its own stream."""
    box = power.shape[0]
    white = np.stack(
        [numpy_stream(seed, "simulate/noise", int(i)).standard_normal((box, box), np.float32) for i in rows]
    )
    return apply_filter(torch.as_tensor(white), power.sqrt().float())
