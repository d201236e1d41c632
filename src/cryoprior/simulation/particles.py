"""The physics of a simulated data set: states, poses, CTFs, noise and the scale that gives the wanted SNR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float64
from scipy.spatial.transform import Rotation
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image import (
    ctf_image,
    project_particles,
)
from cryoprior.random import numpy_stream
from cryoprior.simulation.states import State

CTF_COLUMNS = (
    "defocus_u_angstrom",
    "defocus_v_angstrom",
    "defocus_angle_deg",
    "voltage_kv",
    "cs_mm",
    "amplitude_contrast",
    "phase_shift_deg",
)


def default_ctf_table() -> pd.DataFrame:
    """Return 2,000 rows with 0.8 to 2.8 micrometre of underfocus at 300 kV."""
    draw = numpy_stream(0, "ctf-table")
    mean, spread = draw.uniform(8e3, 2.8e4, 2000), draw.uniform(0, 600, 2000)
    columns = (mean + spread / 2, mean - spread / 2, draw.uniform(0, 180, 2000), 300.0, 2.7, 0.1, 0.0)
    return pd.DataFrame(dict(zip(CTF_COLUMNS, columns, strict=True)))


def read_ctf_table(path: Path | None) -> pd.DataFrame:
    """Return the CTF rows of a CSV file to draw from, the default ones without a path.

    Raises
    ------
    InputError: a missing file or column, a value that is no number.
    """
    if path is None:
        return default_ctf_table()
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a CSV with {', '.join(CTF_COLUMNS)}")
    return ctf_table(pd.read_csv(path), str(path))


def ctf_table(values: Mapping[str, Any] | pd.DataFrame, name: str = "ctf") -> pd.DataFrame:
    """Return CTF parameters by name as a table of numbers; InputError where one is missing or no number."""
    columns = {column: values[column] for column in CTF_COLUMNS if column in values}
    missing = [column for column in CTF_COLUMNS if column not in columns]
    rows = max((np.size(column) for column in columns.values()), default=0)
    if missing or not rows:
        raise InputError(f"{name}: {rows} rows, without {', '.join(missing) or 'rows'}; add them")
    lengths = {key: np.size(column) for key, column in columns.items() if np.size(column) != 1}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{key} {length}" for key, length in lengths.items())
        raise InputError(f"{name}: columns of different lengths ({shown}); expected one value per row")
    return finite_numbers(name, pd.DataFrame({key: np.broadcast_to(column, rows) for key, column in columns.items()}))


def finite_numbers(name: Path | str, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table as numbers; InputError names the first cell that is none."""
    numbers = table.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    bad = np.argwhere(~np.isfinite(numbers.to_numpy()))
    if len(bad):
        row, column = bad[0]
        raise InputError(
            f"{name}: row {row + 1} has {table.columns[column]} {table.iat[row, column]}; expected a number; "
            "correct it or leave the row out"
        )
    return numbers


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
