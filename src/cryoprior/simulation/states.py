"""The states that particles are simulated from: maps, or potentials of atomic models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image import (
    assembly_model,
    potential_map,
)
from cryoprior.image.potential import mass_centre
from cryoprior.io.model_files import read_structure
from cryoprior.io.mrc_volumes import is_map
from cryoprior.io.resize import resample_volume
from cryoprior.io.volumes import read_shaped_density


@dataclass(frozen=True, eq=False, repr=False)
class State:
    """One state of one assembly: its name, the file it comes from and its map."""

    name: str
    source: str
    volume: Float32[np.ndarray, "d d d"]

    def __repr__(self) -> str:
        return f"State({self.name!r} of {self.source}, {len(self.volume)} voxels a side)"


def read_states(
    path: Path, box: int, pixel_size: float, keep: Sequence[str], leave_out: Sequence[str], b_factor: float
) -> list[State]:
    """Return the states of one structure or map: the whole, then one for every ``leave_out`` (chains, comma-separated).

    All states of a structure are centred on the centre of mass of the whole.

    Raises
    ------
    InputError: a missing or unreadable file, chains left out of a map, a chain that is not there, a box too small.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an atomic model (.pdb, .cif, also .gz) or a map (.mrc)")
    name = path.name.split(".")[0]
    if is_map(path):
        if leave_out or keep:
            raise InputError(
                f"{path}: a map has no chains; drop <leave_out> and <keep_chains>, or give the atomic model"
            )
        return [State(name, str(path), _map_in_box(path, box, pixel_size))]
    structure = read_structure(path)
    whole = assembly_model(structure, keep, (), name)
    centre = mass_centre(whole)
    states = [State(name, str(path), potential_map(whole, box, pixel_size, centre, b_factor, name))]
    for chains in leave_out:
        part = assembly_model(structure, keep, [c.strip() for c in chains.split(",")], name)
        label = f"{name}-without-{chains.replace(',', '-').replace(' ', '')}"
        states.append(State(label, str(path), potential_map(part, box, pixel_size, centre, b_factor, label)))
    return states


def _map_in_box(path: Path, box: int, pixel_size: float) -> Float32[np.ndarray, "d d d"]:
    volume, voxel_size = read_shaped_density(path)
    if abs(voxel_size - pixel_size) > 1e-4 * pixel_size:
        return resample_volume(volume, voxel_size, pixel_size, box)
    return volume_in_box(torch.from_numpy(volume), box)


def volume_in_box(volume: Float[Tensor, "z y x"], box: int) -> Float32[np.ndarray, "d d d"]:
    """Return a map padded with 0, or cropped, to a box; the centres, size // 2, coincide."""
    out = torch.zeros(box, box, box)
    here, there = [], []
    for size in volume.shape:
        low = max(0, size // 2 - box // 2)
        span = min(size - low, box)
        start = max(0, box // 2 - size // 2)
        here.append(slice(start, start + span))
        there.append(slice(low, low + span))
    out[tuple(here)] = volume[tuple(there)]
    return out.numpy()


def particle_radius(volume: np.ndarray) -> float:
    """Return the radius in voxels around the centre that holds 99 % of the density above a tenth of the maximum."""
    size = volume.shape[0]
    axis = np.arange(size) - size // 2
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    inside = volume > 0.1 * volume.max()
    return float(np.quantile(distance[inside], 0.99)) + 1.0
