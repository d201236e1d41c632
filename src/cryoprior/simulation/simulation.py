"""A simulated data set before its images are drawn, and its images batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.spectrum import soft_disc
from cryoprior.io.rows import row_batches
from cryoprior.progress import track
from cryoprior.simulation.noise import coloured_noise
from cryoprior.simulation.particles import Draws, Projector, draw_particles
from cryoprior.simulation.states import State, particle_radius

PILOT = 256
"""Particles of each structure from which the scale of its signal is found."""
BATCH = 128


@dataclass(frozen=True, eq=False, repr=False)
class Simulation:
    """A data set before it is drawn: maps on the scale of the images, what is random, and the noise.

    power: of the noise on the rfft2 grid.
    """

    states: list[State]
    draws: Draws
    power: Float[Tensor, "box half"]
    pixel_size: float
    mask_radius_angstrom: float
    seed: int
    device: str = "cpu"

    def __repr__(self) -> str:
        return f"Simulation({self.n} particles of {len(self.states)} states, box {self.box})"

    @property
    def n(self) -> int:
        """Return the number of particles."""
        return len(self.draws.state)

    @property
    def box(self) -> int:
        """Return the pixels a side."""
        return len(self.power)

    def batches(self, size: int = BATCH) -> Iterator[tuple[Float[Tensor, "b box box"], Float[Tensor, "b box box"]]]:
        """Yield clean and noisy images, batch by batch; both were treated with their CTF where the table says so."""
        project = Projector(self.states, self.draws, self.pixel_size, self.device)
        for batch in track(row_batches(self.n, size), "particles"):
            rows = np.array(batch)
            clean = project(rows).cpu()
            noisy = clean + coloured_noise(rows, self.power, self.seed)
            yield project.treated(clean, rows), project.treated(noisy, rows)


def prepare(
    states: list[State],
    n: int,
    pixel_size: float,
    snr: float,
    ctf: pd.DataFrame,
    power: Float[Tensor, "box half"],
    shift_angstrom: float,
    radius_angstrom: float | None,
    seed: int,
    device: str,
) -> Simulation:
    """Return the simulation of states whose maps lie in the box, brought to the scale that gives the wanted SNR.

    The parameters are those of :func:`simulate`; ``ctf`` is the table that rows are drawn from.
    """
    for name, value in (("n", n), ("pixel_size", pixel_size), ("snr", snr)):
        if not value > 0:
            raise InputError(f"<{name}> {value:g}: expected more than 0")
    draws = draw_particles(n, len(states), ctf, shift_angstrom, seed)
    radius = radius_angstrom or max(particle_radius(state.volume) for state in states) * pixel_size
    inside = soft_disc(len(power), radius / pixel_size) > 0.5
    scales: dict[str, float] = {}
    for state in states:
        if state.source not in scales:
            pilot = draw_particles(min(PILOT, 4 * n), 1, ctf, shift_angstrom, seed + 1)
            images = Projector([state], pilot, pixel_size, device)(np.arange(len(pilot.state)))
            scales[state.source] = float((snr / images[:, inside].var(dim=1).mean()).sqrt())
    scaled = [State(s.name, s.source, (s.volume * scales[s.source]).astype(np.float32)) for s in states]
    return Simulation(scaled, draws, power, pixel_size, radius, seed, device)
