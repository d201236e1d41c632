"""Pose, CTF and half set of every particle, as a map needs them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.projection import slice_matrices
from cryoprior.image.transfer import Transfer, particle_transfer
from cryoprior.io import Measurements, ParticleStack
from cryoprior.io.optics import Columns, check_honoured

SUBSET = "rlnRandomSubset"

log = logging.getLogger("cryoprior")


@dataclass(frozen=True, eq=False, repr=False)
class Geometry:
    """Pose, origin (pixels), transfer (None: images without a CTF) and half set (1 or 2) of every particle.

    ctf: parameters by name, n rows each; see :func:`cryoprior.image.transfer.particle_transfer`.
    left_in: what a map will not undo of the images, in sentences.
    """

    euler_deg: np.ndarray
    origin_pixel: np.ndarray
    ctf: dict[str, np.ndarray] | None
    half: np.ndarray
    pixel_size: float
    left_in: tuple[str, ...] = ()

    @classmethod
    def read(cls, source: ParticleStack | Measurements, table: pd.DataFrame, optics: pd.DataFrame) -> Geometry:
        """Return the geometry of a stack or of measurements with their particle and optics tables.

        Half sets are rlnRandomSubset where the file has it (1 and 2); otherwise rows 1, 3, 5, ... are half 1.

        Raises
        ------
        InputError: no angles, several pixel sizes, a random subset other than 1 and 2, a column that would change the
            map and is not understood.
        """
        left_in = tuple(check_honoured(Columns.of(source.path, table, optics)))
        for sentence in left_in:
            log.warning("%s: %s", source.path, sentence)
        poses, sizes = source.poses(), source.pixel_size
        if poses is None:
            raise InputError(
                f"{source.path}: no poses (rlnAngleRot, rlnAngleTilt, rlnAnglePsi); expected the poses of every "
                "particle; refine them first, or join them from the original star file"
            )
        if not np.allclose(sizes, sizes[0], rtol=1e-3):
            raise InputError(
                f"{source.path}: pixel sizes from {sizes.min():.4f} to {sizes.max():.4f} A; expected one; split the "
                "file by optics group, or bring all to one pixel size"
            )
        for name, values in (("an angle", poses[0]), ("an origin", poses[1])):
            if not np.isfinite(values).all():
                raise InputError(f"{source.path}: {name} that is not finite; expected numbers; remove these rows")
        origin = poses[1] / sizes[:, None]
        halves = _halves(source.path, table)
        return cls(poses[0], origin, source.ctf_parameters(), halves, float(sizes.mean()), left_in)

    def subset(self, rows: np.ndarray) -> Geometry:
        """Return the geometry of these rows, in their order."""
        ctf = None if self.ctf is None else {name: values[rows] for name, values in self.ctf.items()}
        poses = self.euler_deg[rows], self.origin_pixel[rows]
        return Geometry(*poses, ctf, self.half[rows], self.pixel_size, self.left_in)

    def transfer(self, rows: np.ndarray, like: Tensor) -> Transfer | None:
        """Return the transfer of these rows for the box, dtype and device of ``like``; None where there is no CTF."""
        if self.ctf is None:
            return None
        parameters = {key: _like(values[rows], like) for key, values in self.ctf.items()}
        sizes = torch.full((len(rows),), self.pixel_size, dtype=like.dtype, device=like.device)
        return particle_transfer(parameters, sizes, like.shape[-1])

    def magnification(self, rows: np.ndarray, like: Tensor) -> Float[Tensor, "b 2 2"] | None:
        """Return RELION's magnification matrix of these rows; None where all are the identity."""
        if self.ctf is None or "magnification" not in self.ctf:
            return None
        return _like(self.ctf["magnification"][rows], like)

    def slices(self, rows: np.ndarray, like: Tensor) -> Float[Tensor, "b 3 3"]:
        """Return what maps a frequency of an image of these rows into the transform of the map."""
        euler = torch.as_tensor(self.euler_deg[rows], device=like.device)
        return slice_matrices(euler, self.magnification(rows, like))

    def __repr__(self) -> str:
        ctf = "no CTF" if self.ctf is None else "CTF"
        return f"Geometry({len(self.half)} particles at {self.pixel_size:.3f} A a pixel, {ctf})"


def _like(values: np.ndarray, like: Tensor) -> Tensor:
    """Return an array as a tensor on the device of ``like``, numbers in its dtype, flags as they are."""
    return torch.tensor(values, dtype=torch.bool if values.dtype == bool else like.dtype, device=like.device)


def _halves(path: Path, table: pd.DataFrame) -> np.ndarray:
    if SUBSET not in table.columns:
        return np.arange(len(table)) % 2 + 1
    halves = pd.to_numeric(table[SUBSET], errors="coerce").to_numpy()
    if not np.isin(halves, (1, 2)).all():
        row = int(np.argmin(np.isin(halves, (1, 2))))
        raise InputError(f"{path}: particle {row + 1} has {SUBSET} {table[SUBSET].iloc[row]}; expected 1 or 2")
    return np.asarray(halves, int)
