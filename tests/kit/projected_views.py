"""A made-up map and the views of it, as tables and images, for the tests that look for poses and half-maps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from scipy.spatial.transform import Rotation

from cryoprior.image.ctf import ctf_image
from cryoprior.image.projection import project_particles
from cryoprior.io.euler import euler_of_matrix
from cryoprior.io.formats.columns import ANGLES, ORIGINS

CTF_COLUMNS = {
    "defocus_u_angstrom": "rlnDefocusU",
    "defocus_v_angstrom": "rlnDefocusV",
    "defocus_angle_deg": "rlnDefocusAngle",
    "voltage_kv": "rlnVoltage",
    "cs_mm": "rlnSphericalAberration",
    "amplitude_contrast": "rlnAmplitudeContrast",
}


def draw_blobs(box: int, seed: int, *, n: int = 9, spread: float = 3.4, variance: float = 3.0) -> np.ndarray:
    """Return an asymmetric map of n bright Gaussian blobs, their centres ``spread`` pixels about that of the box."""
    rng = np.random.default_rng(seed)
    axis = np.arange(box) - box // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    centres, weights = rng.normal(scale=spread, size=(n, 3)), rng.uniform(0.5, 2, n)
    parts = [
        w * np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / (2 * variance))
        for w, (a, b, c) in zip(weights, centres, strict=True)
    ]
    return np.sum(parts, axis=0).astype(np.float32)


def draw_views(
    rng: np.random.Generator, stack: str, n: int, box: int, pixel: float, shift_angstrom: float = 4.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of n particles of a stack, and of their optics, with random poses and defocus."""
    table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@{stack}" for i in range(n)], "rlnOpticsGroup": 1})
    table[list(ANGLES)] = euler_of_matrix(Rotation.random(n, rng=rng).as_matrix())
    table[list(ORIGINS)] = rng.normal(scale=shift_angstrom, size=(n, 2))
    table["rlnDefocusU"] = rng.uniform(12e3, 22e3, n)
    table["rlnDefocusV"], table["rlnDefocusAngle"] = table["rlnDefocusU"] - 200, 30.0
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnVoltage": 300.0, "rlnSphericalAberration": 2.7})
    return table, optics.assign(rlnAmplitudeContrast=0.1, rlnImagePixelSize=pixel, rlnImageSize=box)


def project_views(volume: np.ndarray, table: pd.DataFrame, optics: pd.DataFrame, *, ctf: bool = True) -> np.ndarray:
    """Return the images of these particles without noise, (n, box, box), each with its CTF where wanted."""
    both = table.merge(optics, on="rlnOpticsGroup")
    euler, origin = (torch.from_numpy(both[list(names)].to_numpy(copy=True)) for names in (ANGLES, ORIGINS))
    pixel = torch.from_numpy(both["rlnImagePixelSize"].to_numpy(copy=True))
    transfer = None
    if ctf:
        parameters = {key: torch.from_numpy(both[name].to_numpy(copy=True)) for key, name in CTF_COLUMNS.items()}
        transfer = ctf_image(parameters | {"phase_shift_deg": torch.zeros_like(pixel)}, pixel, len(volume))
    return project_particles(torch.from_numpy(volume), euler, origin / pixel[:, None], transfer).numpy()
