"""A made-up assembly: rods of Gaussian blobs, packed into domains like those of a protein complex."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from cryoprior.random import numpy_stream

ARMS, DOMAINS_AN_ARM, RODS_A_DOMAIN = 3, 4, 30
BLOB_ANGSTROM = 3.5
"""Standard deviation of a blob: features down to the Nyquist frequency of the demo's pixels, and no finer."""


def made_up_assembly(box: int, pixel_size: float, seed: int) -> Float32[np.ndarray, "d d d"]:
    """Return the density of a made-up assembly of about 200 angstrom, its centre of mass at box // 2, maximum 1.

    Three equal arms of four domains around an axis, and one domain of its own above them. It shares with proteins
    the sizes of helices (rods of 12 to 30 angstrom) and of domains (25 to 40 angstrom), and nothing else.
    """
    rng = numpy_stream(seed, "demo/assembly")
    blobs = np.concatenate(list(_parts(rng)))
    return _density(blobs - blobs.mean(axis=0), box, pixel_size)


def _parts(rng: np.random.Generator) -> Iterator[Float[np.ndarray, "k 3"]]:
    arm = np.concatenate([_domain(rng, centre) for centre in _arm_centres(rng)])
    for i in range(ARMS):
        yield Rotation.from_euler("z", 360 * i / ARMS, degrees=True).apply(arm)
    yield _domain(rng, np.array([15.0, -10.0, 75.0]))


def _arm_centres(rng: np.random.Generator) -> Float[np.ndarray, "k 3"]:
    """Return centres of neighbouring domains, from the axis outwards and downwards, in angstrom."""
    outwards = np.linspace(30, 85, DOMAINS_AN_ARM)
    downwards = np.linspace(30, -45, DOMAINS_AN_ARM)
    return np.stack([outwards, np.zeros_like(outwards), downwards], axis=1) + rng.normal(
        scale=9, size=(len(outwards), 3)
    )


def _domain(rng: np.random.Generator, centre: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "k 3"]:
    """Return blob centres on rods that start within an ellipsoid and point anywhere."""
    axes, turn = rng.uniform(14, 26, size=3), Rotation.from_quat(rng.normal(size=4))
    rods = []
    for _ in range(RODS_A_DOMAIN):
        start = rng.normal(size=3)
        start *= rng.uniform() ** (1 / 3) / np.linalg.norm(start)
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        along = np.arange(0, rng.uniform(12, 30), 1.5)
        rods.append(turn.apply(start * axes) + (along - along.mean())[:, None] * direction)
    blobs: Float[np.ndarray, "k 3"] = centre + np.concatenate(rods)
    return blobs


def _density(blobs: Float[np.ndarray, "k 3"], box: int, pixel_size: float) -> Float32[np.ndarray, "d d d"]:
    edges = (np.arange(box + 1) - box // 2 - 0.5) * pixel_size
    counts, _ = np.histogramdd(blobs[:, ::-1], bins=(edges, edges, edges))  # xyz to z y x
    density = gaussian_filter(counts, BLOB_ANGSTROM / pixel_size, mode="constant")
    return np.asarray(density / density.max(), np.float32)
