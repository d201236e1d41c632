"""The physics of a simulated data set: states, poses, CTFs, noise and the scale that gives the wanted SNR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float32, Float64
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch_fourier_rescale import fourier_rescale_3d

from cryoprior.errors import InputError
from cryoprior.image import (
    apply_filter,
    assembly_model,
    background_spectrum,
    ctf_image,
    potential_map,
    project_particles,
    radial_average,
    radial_filter,
)
from cryoprior.image.potential import mass_centre
from cryoprior.image.spectrum import pixel_variance
from cryoprior.io import read_map, read_particles
from cryoprior.random import numpy_stream

MAP_SUFFIXES = (".mrc", ".map", ".ccp4")
CTF_COLUMNS = (
    "defocus_u_angstrom",
    "defocus_v_angstrom",
    "defocus_angle_deg",
    "voltage_kv",
    "cs_mm",
    "amplitude_contrast",
    "phase_shift_deg",
)


@dataclass(frozen=True)
class State:
    """One state of one assembly: its name, the file it comes from and its map."""

    name: str
    source: str
    volume: Float32[np.ndarray, "d d d"]


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
    if path.suffix in MAP_SUFFIXES:
        if leave_out or keep:
            raise InputError(
                f"{path}: a map has no chains; drop --leave-out and --keep-chains, or give the atomic model"
            )
        return [State(name, str(path), _map_in_box(path, box, pixel_size))]
    try:
        structure = gemmi.read_structure(str(path))
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path}: not a structure that gemmi reads ({error}); expected .pdb or .cif") from None
    if len(structure) == 0 or structure[0].count_atom_sites() == 0:
        raise InputError(f"{path}: no atoms inside; expected a model; is it a coordinate file?")
    whole = assembly_model(structure, keep, (), name)
    centre = mass_centre(whole)
    states = [State(name, str(path), potential_map(whole, box, pixel_size, centre, b_factor, name))]
    for chains in leave_out:
        part = assembly_model(structure, keep, [c.strip() for c in chains.split(",")], name)
        label = f"{name}-without-{chains.replace(',', '-').replace(' ', '')}"
        states.append(State(label, str(path), potential_map(part, box, pixel_size, centre, b_factor, label)))
    return states


def _map_in_box(path: Path, box: int, pixel_size: float) -> Float32[np.ndarray, "d d d"]:
    volume, voxel_size = read_map(path)
    if voxel_size <= 0:
        raise InputError(f"{path}: the header gives no voxel size; expected angstrom a voxel; set it in the header")
    tensor = torch.as_tensor(np.ascontiguousarray(volume), dtype=torch.float32)
    if abs(voxel_size - pixel_size) > 1e-4 * pixel_size:
        tensor, _ = fourier_rescale_3d(tensor, source_spacing=voxel_size, target_spacing=pixel_size)
    out = torch.zeros(box, box, box)
    here, there = [], []
    for size in tensor.shape:  # centres (size // 2) coincide
        low = max(0, size // 2 - box // 2)
        span = min(size - low, box)
        start = max(0, box // 2 - size // 2)
        here.append(slice(start, start + span))
        there.append(slice(low, low + span))
    out[tuple(here)] = tensor[tuple(there)]
    return out.numpy()


def read_ctf_table(path: Path | None) -> pd.DataFrame:
    """Return the CTF rows to draw from; without a path 2,000 rows with 0.8 to 2.8 micrometre of underfocus at 300 kV.

    Raises
    ------
    InputError: a missing file or column, a value that is no number.
    """
    if path is None:
        draw = numpy_stream(0, "ctf-table")
        mean, spread = draw.uniform(8e3, 2.8e4, 2000), draw.uniform(0, 600, 2000)
        columns = (mean + spread / 2, mean - spread / 2, draw.uniform(0, 180, 2000), 300.0, 2.7, 0.1, 0.0)
        return pd.DataFrame(dict(zip(CTF_COLUMNS, columns, strict=True)))
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a CSV with {', '.join(CTF_COLUMNS)}")
    table = pd.read_csv(path)
    missing = [c for c in CTF_COLUMNS if c not in table]
    if missing or table.empty:
        raise InputError(f"{path}: {len(table)} rows, without {', '.join(missing) or 'rows'}; add them")
    return _finite_numbers(path, table[list(CTF_COLUMNS)])


def _finite_numbers(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    numbers = table.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    bad = np.argwhere(~np.isfinite(numbers.to_numpy()))
    if len(bad):
        row, column = bad[0]
        raise InputError(
            f"{path}: row {row + 1} has {table.columns[column]} {table.iat[row, column]}; expected a number; "
            "correct it or leave the row out"
        )
    return numbers


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
        return torch.ones(box, box // 2 + 1, dtype=torch.float64)
    if path.suffix == ".csv":
        frequency, curve = _read_spectrum(path)
    else:
        stack = read_particles(path)
        images = torch.as_tensor(stack.read(np.arange(min(stack.n, 256))))
        spacing = float(stack.pixel_size[0])
        radius = 0.42 * stack.box if radius_angstrom is None else radius_angstrom / spacing
        curve = radial_average(background_spectrum(images, radius))[: stack.box // 2 + 1]
        frequency = torch.arange(len(curve), dtype=torch.float64) / (stack.box * spacing)
    power = radial_filter(curve, frequency * pixel_size, box)
    return power / pixel_variance(power)


def _read_spectrum(path: Path) -> tuple[Float[Tensor, "k"], Float[Tensor, "k"]]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a CSV with frequency_per_angstrom and power, or a stack")
    columns = ["frequency_per_angstrom", "power"]
    table = pd.read_csv(path)
    if not set(columns) <= set(table):
        raise InputError(f"{path}: columns {', '.join(table)}; expected frequency_per_angstrom and power")
    numbers = _finite_numbers(path, table[columns])
    frequency, power = (torch.from_numpy(numbers[c].to_numpy(copy=True)) for c in columns)
    if len(power) < 2 or bool((frequency.diff() <= 0).any()) or bool((power < 0).any()) or not bool(power.any()):
        raise InputError(
            f"{path}: {len(power)} rows; expected at least 2 rows with increasing frequency_per_angstrom and powers of "
            "at least 0; `cryoprior simulate` writes such a noise_spectrum.csv"
        )
    return frequency, power


@dataclass(frozen=True)
class Draws:
    """What is random about n particles: state, pose, origin and CTF row."""

    state: np.ndarray
    euler_deg: Float64[np.ndarray, "n 3"]
    origin_angstrom: Float64[np.ndarray, "n 2"]
    ctf: pd.DataFrame


def draw_particles(n: int, states: int, ctf_table: pd.DataFrame, shift_angstrom: float, seed: int) -> Draws:
    """Return the draws of n particles, uniform in state, orientation (SO(3)) and CTF row, normal in the origin."""
    state, euler, origin, row = np.empty(n, int), np.empty((n, 3)), np.empty((n, 2)), np.empty(n, int)
    for i in range(n):
        stream = numpy_stream(seed, "simulate", i)
        state[i] = stream.integers(states)
        quaternion = stream.normal(size=4)
        with np.errstate(all="ignore"):
            euler[i] = Rotation.from_quat(quaternion).as_euler("ZYZ", degrees=True)
        origin[i] = stream.normal(scale=shift_angstrom, size=2)
        row[i] = stream.integers(len(ctf_table))
    return Draws(state, euler, origin, ctf_table.iloc[row].reset_index(drop=True))


class Projector:
    """Clean, CTF-modulated images of drawn particles, each state's map in turn."""

    def __init__(self, states: Sequence[State], draws: Draws, pixel_size: float, device: str = "cpu") -> None:
        self.draws, self.pixel_size, self.device = draws, pixel_size, torch.device(device)
        self.volumes = [torch.as_tensor(s.volume, device=self.device) for s in states]

    def __call__(self, rows: np.ndarray) -> Float[Tensor, "b box box"]:
        """Return the clean images of the rows, (b, box, box), in the map's own units."""
        box = self.volumes[0].shape[-1]
        images = torch.empty(len(rows), box, box, device=self.device)
        ctf_rows = self.draws.ctf.iloc[rows]
        parameters = {c: torch.tensor(ctf_rows[c].to_numpy(), device=self.device) for c in CTF_COLUMNS}
        ctf = ctf_image(parameters, torch.full((len(rows),), self.pixel_size, device=self.device), box)
        for state in np.unique(self.draws.state[rows]):
            here = np.flatnonzero(self.draws.state[rows] == state)
            euler = torch.as_tensor(self.draws.euler_deg[rows[here]], device=self.device)
            origin = torch.as_tensor(self.draws.origin_angstrom[rows[here]] / self.pixel_size, device=self.device)
            images[here] = project_particles(self.volumes[state], euler, origin, ctf[here])
        return images


def coloured_noise(rows: np.ndarray, power: Float[Tensor, "box half"], seed: int) -> Float[Tensor, "b box box"]:
    """Return stationary Gaussian noise of the given power, each particle from its own stream."""
    box = power.shape[0]
    white = np.stack(
        [numpy_stream(seed, "simulate/noise", int(i)).standard_normal((box, box), np.float32) for i in rows]
    )
    return apply_filter(torch.as_tensor(white), power.sqrt().float())
