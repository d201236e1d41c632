"""Pose, CTF and half set of every particle, as a map needs them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image import ctf_image
from cryoprior.io import Measurements, ParticleStack

SUBSET = "rlnRandomSubset"


@dataclass(frozen=True, eq=False, repr=False)
class Geometry:
    """Pose, origin (pixels), CTF parameters (None: images without a CTF) and half set (1 or 2) of every particle."""

    euler_deg: np.ndarray
    origin_pixel: np.ndarray
    ctf: dict[str, np.ndarray] | None
    half: np.ndarray
    pixel_size: float

    @classmethod
    def read(cls, source: ParticleStack | Measurements, table: pd.DataFrame) -> Geometry:
        """Return the geometry of a stack or of measurements.

        Half sets are rlnRandomSubset where the file has it (1 and 2); otherwise rows 1, 3, 5, ... are half 1.

        Raises
        ------
        InputError: no angles, several pixel sizes, a random subset other than 1 and 2.
        """
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
        return cls(poses[0], origin, source.ctf_parameters(), _halves(source.path, table), float(sizes.mean()))

    def subset(self, rows: np.ndarray) -> Geometry:
        """Return the geometry of these rows, in their order."""
        ctf = None if self.ctf is None else {name: values[rows] for name, values in self.ctf.items()}
        return Geometry(self.euler_deg[rows], self.origin_pixel[rows], ctf, self.half[rows], self.pixel_size)

    def ctf_images(self, rows: np.ndarray, like: Tensor) -> Float[Tensor, "b box half"] | None:
        """Return the CTF of these rows for the box, dtype and device of ``like``; None where the file has none."""
        if self.ctf is None:
            return None
        kind: dict[str, Any] = {"dtype": like.dtype, "device": like.device}
        parameters = {key: torch.tensor(values[rows], **kind) for key, values in self.ctf.items()}
        return ctf_image(parameters, torch.full((len(rows),), self.pixel_size, **kind), like.shape[-1])

    def __repr__(self) -> str:
        ctf = "no CTF" if self.ctf is None else "CTF"
        return f"Geometry({len(self.half)} particles at {self.pixel_size:.3f} A a pixel, {ctf})"


def _halves(path: Path, table: pd.DataFrame) -> np.ndarray:
    if SUBSET not in table.columns:
        return np.arange(len(table)) % 2 + 1
    halves = pd.to_numeric(table[SUBSET], errors="coerce").to_numpy()
    if not np.isin(halves, (1, 2)).all():
        row = int(np.argmin(np.isin(halves, (1, 2))))
        raise InputError(f"{path}: particle {row + 1} has {SUBSET} {table[SUBSET].iloc[row]}; expected 1 or 2")
    return np.asarray(halves, int)
