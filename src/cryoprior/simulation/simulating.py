"""Particles with known truth: projections of maps with pose, shift, CTF and noise at a wanted SNR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.devices import choose_device
from cryoprior.errors import InputError
from cryoprior.image.spectrum import pixel_variance
from cryoprior.measurement.arrays import as_rows
from cryoprior.simulation.noise import white_power
from cryoprior.simulation.optics import ctf_table, default_ctf_table, transfer_parameters
from cryoprior.simulation.simulation import BATCH, prepare
from cryoprior.simulation.states import State, volume_in_box

Volume = Tensor | np.ndarray

SAME_VARIANCE = 1e-9
"""A spectrum whose pixel variance is so near 1 is taken as it is, so that reading it twice changes no number."""


@dataclass(frozen=True, eq=False, repr=False)
class SimulatedParticles:
    """Noisy images with their ground truth, row by row.

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
    structures: what each map is a state of; the states of one structure share one scale. Each map is a structure of
        its own where None.
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
        ctf=transfer_parameters(draws.ctf),
        state=draws.state,
        volumes=torch.stack([torch.from_numpy(state.volume) for state in simulation.states]),
        names=tuple(state.name for state in simulation.states),
        pixel_size=pixel_size,
        mask_radius_angstrom=simulation.mask_radius_angstrom,
    )


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
