"""Particles made for a benchmark of maps: views, tables, images of a map with transfer and noise, and their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.image.projection import project_particles
from cryoprior.image.transfer import particle_transfer
from cryoprior.io import write_stack, write_star
from cryoprior.io.formats.columns import ANGLES, ORIGINS
from cryoprior.io.geometry import table_ctf, table_poses

SHIFT_ANGSTROM, UNDERFOCUS_ANGSTROM, ASTIGMATISM_ANGSTROM = 4.0, (8e3, 2.8e4), 300.0
BATCH = 128

Tilts = Callable[[np.random.Generator, int], Float[np.ndarray, " n"]]


def tilts_below(limit_deg: float) -> Tilts:
    """Return a draw of tilts, in degrees, that spreads views evenly over the cap around z; 180: over the sphere."""
    least = np.cos(np.radians(limit_deg))
    return lambda rng, n: np.degrees(np.arccos(rng.uniform(least, 1, n)))


def side_views(rng: np.random.Generator, n: int) -> Float[np.ndarray, " n"]:
    """Return n tilts of 90 degrees: with rot at random, the views from around one axis."""
    return np.full(n, 90.0)


VIEWS: dict[str, Tilts] = {
    "uniform": tilts_below(180),
    "tilt below 60": tilts_below(60),
    "tilt below 35": tilts_below(35),
    "from the side": side_views,
}


def particle_tables(
    n: int, box: int, pixel_size: float, rng: np.random.Generator, views: str = "uniform"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the particle and the optics table of n particles, images 1 to n of ``p.mrcs``, half sets in turn.

    Parameters
    ----------
    pixel_size: angstrom.
    views: a key of ``VIEWS``; rot and psi are uniform in all of them.
    """
    table = pd.DataFrame({"rlnImageName": image_names(n), "rlnOpticsGroup": 1})
    tilt = VIEWS[views](rng, n)
    table[list(ANGLES)] = np.stack([rng.uniform(-180, 180, n), tilt, rng.uniform(-180, 180, n)], axis=1)
    table[list(ORIGINS)] = rng.normal(scale=SHIFT_ANGSTROM, size=(n, 2))
    table["rlnDefocusU"] = rng.uniform(*UNDERFOCUS_ANGSTROM, n)
    table["rlnDefocusV"] = table["rlnDefocusU"] - rng.uniform(0, ASTIGMATISM_ANGSTROM, n)
    table["rlnDefocusAngle"] = rng.uniform(0, 180, n)
    table["rlnRandomSubset"] = np.arange(n) % 2 + 1
    optics = {"rlnOpticsGroup": 1, "rlnOpticsGroupName": "one", "rlnVoltage": 300.0, "rlnSphericalAberration": 2.7}
    optics |= {"rlnAmplitudeContrast": 0.1, "rlnImagePixelSize": pixel_size, "rlnImageSize": box}
    return table, pd.DataFrame([optics | {"rlnImageDimensionality": 2}])


def image_names(n: int, stack: str = "p.mrcs") -> list[str]:
    """Return the names of images 1 to n of a stack, as RELION writes them."""
    return [f"{place + 1:06d}@{stack}" for place in range(n)]


def project(
    truth: Float[Tensor, "d d d"],
    table: pd.DataFrame,
    optics: pd.DataFrame,
    noise: Float[Tensor, "n d d"] | None = None,
) -> Float[Tensor, "n d d"]:
    """Return projections of a map with their transfer and the noise, then treated with their CTF as the tables say."""
    parameters, poses = table_ctf(Path("tables"), table, optics), table_poses(table)
    assert parameters is not None
    assert poses is not None
    box, pixel_size = truth.shape[-1], float(optics["rlnImagePixelSize"].iloc[0])
    images = []
    for rows in np.array_split(np.arange(len(table)), -(-len(table) // BATCH)):
        tensors = {key: torch.from_numpy(np.array(values)[rows]) for key, values in parameters.items()}
        recorded = {key: values.float() for key, values in tensors.items() if values.dtype != torch.bool}
        transfer = particle_transfer(recorded, torch.full((len(rows),), pixel_size), box)
        euler, origin = torch.from_numpy(poses[0][rows]), torch.from_numpy(poses[1][rows] / pixel_size)
        seen = project_particles(truth, euler, origin, transfer.image, tensors.get("magnification"))
        if noise is not None:
            seen = seen + noise[rows]
        no = torch.zeros(len(rows), dtype=torch.bool)
        premultiplied, flipped = (tensors.get(name, no)[:, None, None] for name in ("premultiplied", "phase_flipped"))
        factor = torch.where(premultiplied, transfer.ctf, torch.where(flipped, transfer.ctf.sign(), 1.0))
        images.append(torch.fft.irfft2(torch.fft.rfft2(seen) * factor, s=(box, box)))
    return torch.cat(images)


def write_particles(folder: Path, images: Float[Tensor, "n d d"], table: pd.DataFrame, optics: pd.DataFrame) -> Path:
    """Return the star file of particles, ``p.star`` in the folder, written with the stack ``p.mrcs``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_stack(folder / "p.mrcs", images.numpy(), float(optics["rlnImagePixelSize"].iloc[0]))
    write_star(folder / "p.star", table.assign(rlnImageName=image_names(len(table))), optics)
    return folder / "p.star"
