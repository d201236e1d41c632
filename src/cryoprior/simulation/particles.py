"""The physics of a simulated data set: states, poses, CTFs, noise and the scale that gives the wanted SNR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float64
from scipy.spatial.transform import Rotation
from torch import Tensor

from cryoprior.image import project_particles
from cryoprior.image.transfer import Transfer, particle_transfer
from cryoprior.io.formats.columns import TREATMENT
from cryoprior.random import numpy_stream
from cryoprior.simulation.optics import transfer_parameters
from cryoprior.simulation.states import State


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
        """Return the clean images of the rows, (b, box, box), in the map's own units, before any treatment."""
        box = self.volumes[0].shape[-1]
        images = torch.empty(len(rows), box, box, device=self.device)
        parameters = self._parameters(rows)
        held, magnification = self._transfer(parameters, len(rows)).image, parameters.get("magnification")
        for state in np.unique(self.draws.state[rows]):
            here = np.flatnonzero(self.draws.state[rows] == state)
            euler = torch.as_tensor(self.draws.euler_deg[rows[here]], device=self.device)
            origin = torch.as_tensor(self.draws.origin_angstrom[rows[here]] / self.pixel_size, device=self.device)
            turned = None if magnification is None else magnification[here]
            images[here] = project_particles(self.volumes[state], euler, origin, held[here], turned)
        return images

    def treated(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        """Return images as they are stored: times their CTF or its sign once more, where the table says so."""
        parameters = self._parameters(rows)
        if not any(name in parameters for name in TREATMENT):
            return images
        ctf, no = self._transfer(parameters, len(rows)).ctf.to(images), torch.zeros(len(rows), dtype=torch.bool)
        premultiplied, flipped = (parameters.get(name, no)[:, None, None].to(images.device) for name in TREATMENT)
        factor = torch.where(premultiplied, ctf, torch.where(flipped, ctf.sign(), 1.0))
        stored: Tensor = torch.fft.irfft2(torch.fft.rfft2(images) * factor, s=images.shape[-2:])
        return stored

    def _parameters(self, rows: np.ndarray) -> dict[str, Tensor]:
        values = transfer_parameters(self.draws.ctf.iloc[rows])
        return {name: torch.tensor(value, device=self.device) for name, value in values.items()}

    def _transfer(self, parameters: dict[str, Tensor], n: int) -> Transfer:
        """Return the transfer of the microscope alone, whatever was done to the images afterwards."""
        recorded = {name: value for name, value in parameters.items() if name not in TREATMENT}
        sizes = torch.full((n,), self.pixel_size, device=self.device)
        return particle_transfer(recorded, sizes, self.volumes[0].shape[-1])
