"""Particles with known truth: projections of maps with pose, shift, CTF and noise at a wanted SNR."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.devices import choose_device
from cryoprior.errors import InputError
from cryoprior.image.spectrum import pixel_variance, soft_disc
from cryoprior.io.rows import row_batches
from cryoprior.measurement.arrays import as_rows
from cryoprior.progress import track
from cryoprior.simulation.noise import coloured_noise, white_power
from cryoprior.simulation.particles import Draws, Projector, ctf_table, default_ctf_table, draw_particles
from cryoprior.simulation.states import State, particle_radius, volume_in_box

Volume = Tensor | np.ndarray

PILOT = 256
"""Particles of each structure from which the scale of its signal is found."""
BATCH = 128
SAME_VARIANCE = 1e-9
"""A spectrum whose pixel variance is so near 1 is taken as it is, so that reading it twice changes no number."""


@dataclass(frozen=True, eq=False, repr=False)
class SimulatedParticles:
    """Noisy images with all that is true of them, row by row.

    images, clean: (n, box, box) float32, with noise of pixel variance 1 and without it.
    euler_deg: rot, tilt, psi, (n, 3). origin_pixel: origin x, y, (n, 2). ctf: parameters by name, (n,) each.
    state: the place of every particle's map among the ``volumes``, (n,).
    volumes: the maps on the scale of the images, (states, box, box, box), with their ``names``.
    """

    images: Float[Tensor, "n box box"]
    clean: Float[Tensor, "n box box"]
    euler_deg: Float[np.ndarray, "n 3"]
    origin_pixel: Float[np.ndarray, "n 2"]
    ctf: dict[str, np.ndarray]
    state: np.ndarray
    volumes: Float[Tensor, "s box box box"]
    names: tuple[str, ...]
    pixel_size: float
    mask_radius_angstrom: float

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        grid = f"box {self.images.shape[-1]} at {self.pixel_size:.3f} A a pixel"
        return f"SimulatedParticles({len(self)} particles of {len(self.names)} states, {grid})"


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
        """Yield clean and noisy images, batch by batch."""
        project = Projector(self.states, self.draws, self.pixel_size, self.device)
        for batch in track(row_batches(self.n, size), "particles"):
            rows = np.array(batch)
            clean = project(rows).cpu()
            yield clean, clean + coloured_noise(rows, self.power, self.seed)


def simulate(
    volumes: Volume | Sequence[Volume] | Mapping[str, Volume],
    n: int,
    box: int | None = None,
    pixel_size: float = 5.0,
    snr: float = 0.1,
    *,
    ctf: Mapping[str, Any] | pd.DataFrame | None = None,
    noise: Float[Tensor, "box half"] | None = None,
    shift_angstrom: float = 4.0,
    radius_angstrom: float | None = None,
    structures: Sequence[Any] | None = None,
    seed: int = 0,
    batch: int = BATCH,
    device: str = "auto",
) -> SimulatedParticles:
    """Return particles of maps, bit for bit those of ``cryoprior simulate``.

    Parameters
    ----------
    volumes: one map or several states, z y x, of the particles' pixel size; each particle is drawn from one of them.
    n: how many particles.
    box: pixels a side, to which maps are padded or cropped about their centre; that of the first map where None.
    pixel_size: angstrom.
    snr: variance of the CTF-modulated signal over that of the noise, both inside the particle mask.
    ctf: CTF parameters by name to draw rows from; 0.8 to 2.8 micrometre of underfocus at 300 kV where None.
    noise: power on the rfft2 grid, as ``read_noise`` returns it, brought to pixel variance 1; white where None.
    shift_angstrom: standard deviation of the in-plane shift.
    radius_angstrom: of the particle mask; from the maps where None.
    structures: what each map is a state of; the states of one structure share one scale. Each its own where None.
    seed: of all random streams.
    batch: particles at once.
    device: where to project: auto, cpu, cuda, cuda:1 or mps.

    Raises
    ------
    InputError: maps that are no finite cubes, a value out of its range, CTF parameters or noise of another shape.
    """
    states = _states(volumes, box, structures)
    table = default_ctf_table() if ctf is None else ctf_table(ctf)
    power = white_power(len(states[0].volume)) if noise is None else _unit_power(noise, len(states[0].volume))
    simulation = prepare(
        states, n, pixel_size, snr, table, power, shift_angstrom, radius_angstrom, seed, str(choose_device(device))
    )
    clean, noisy = (torch.cat(images) for images in zip(*simulation.batches(batch), strict=True))
    draws = simulation.draws
    return SimulatedParticles(
        images=noisy,
        clean=clean,
        euler_deg=draws.euler_deg,
        origin_pixel=draws.origin_angstrom / pixel_size,
        ctf={name: draws.ctf[name].to_numpy() for name in draws.ctf},
        state=draws.state,
        volumes=torch.stack([torch.from_numpy(state.volume) for state in simulation.states]),
        names=tuple(state.name for state in simulation.states),
        pixel_size=pixel_size,
        mask_radius_angstrom=simulation.mask_radius_angstrom,
    )


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


def _states(volumes: Any, box: int | None, structures: Sequence[Any] | None) -> list[State]:
    """Return the maps as states in one box."""
    if isinstance(volumes, Mapping):
        names, maps = list(volumes), list(volumes.values())
    else:
        maps = [volumes] if getattr(volumes, "ndim", 0) == 3 else list(volumes)
        names = [f"state{place}" for place in range(1, len(maps) + 1)]
    sources = list(range(len(maps))) if structures is None else list(structures)
    if not maps or len(sources) != len(maps):
        raise InputError(f"simulate: {len(maps)} maps and {len(sources)} structures; expected one of each per state")
    arrays = [_volume(volume, name) for name, volume in zip(names, maps, strict=True)]
    side = box or len(arrays[0])
    return [
        State(str(name), str(source), volume_in_box(array, side))
        for name, source, array in zip(names, sources, arrays, strict=True)
    ]


def _volume(volume: Volume, name: str) -> Float[Tensor, "d d d"]:
    tensor = as_rows(volume, name, 3).float().cpu()
    if len(set(tensor.shape)) != 1:
        raise InputError(f"{name}: a map of shape {tuple(tensor.shape)}; expected a cube (d, d, d); pad it to one")
    if bool((tensor == tensor[0, 0, 0]).all()):
        raise InputError(f"{name}: the map is constant; expected density; is it the right one?")
    return tensor


def _unit_power(noise: Float[Tensor, "box half"], box: int) -> Float[Tensor, "box half"]:
    power = torch.as_tensor(noise, dtype=torch.float64)
    if power.shape != (box, box // 2 + 1) or not bool((power >= 0).all()) or not bool(power.any()):
        raise InputError(
            f"noise of shape {tuple(power.shape)}: expected powers of at least 0 on the rfft2 grid, "
            f"({box}, {box // 2 + 1})"
        )
    variance = float(pixel_variance(power))
    return power if abs(variance - 1) < SAME_VARIANCE else power / variance
