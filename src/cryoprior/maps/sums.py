"""The particles of a source summed over their poses, each half set apart, by one pass over its images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.backprojection import Backprojector, centred_transforms
from cryoprior.image.spectrum import background_spectrum, radial_average
from cryoprior.image.symmetry import point_group
from cryoprior.io.rows import row_batches, spread_rows
from cryoprior.maps.geometry import Geometry
from cryoprior.maps.source import Source
from cryoprior.progress import track

NOISE_PARTICLES = 256
"""Particles from whose surroundings the noise is read."""
TINY = 1e-300
ZEROS = 0.05
"""Part of the mean weight that is added to weights before images are divided by them."""
SMALLEST_BOX = 24
"""Below it the corners of a box hold too few pixels for a spectrum."""


@dataclass(frozen=True)
class MapSettings:
    """How maps are made.

    symmetry: point group; every image is inserted at all its mates.
    passes: over the particles at most, where the images mix frequencies; see :mod:`cryoprior.maps.passes`.
    batch: images in memory at a time; the map does not depend on it except for the order of float64 sums.
    contrast: factor on all images, 1 or -1.
    """

    symmetry: str = "C1"
    passes: int = 8
    batch: int = 128
    device: str = "cpu"
    contrast: float = 1.0


@dataclass(frozen=True, eq=False)
class HalfSums:
    """The back-projections of two half sets with their numbers of particles.

    noise: of a coefficient of unit weight by shell, as :func:`cryoprior.image.regularised.noise_to_signal` wants it;
        None where the box has too little room beside a particle.
    """

    halves: tuple[Backprojector, Backprojector]
    counts: tuple[int, int]
    noise: Float[Tensor, " shells"] | None


def sum_halves(source: Source, settings: MapSettings, label: str = "map") -> HalfSums:
    """Return the sums of a source by one pass over its images.

    Raises
    ------
    InputError: a half set without particles; what reading the source raises.
    """
    geometry = source.geometry
    counts = (int((geometry.half == 1).sum()), int((geometry.half == 2).sum()))
    if not all(counts):
        raise InputError(
            f"{source.path}: {counts[0]} particles in half 1 and {counts[1]} in half 2; expected some in both; "
            "correct rlnRandomSubset, or remove the column"
        )
    halves = (Backprojector(source.box, device=settings.device), Backprojector(source.box, device=settings.device))
    for batch in track(row_batches(source.n, settings.batch), label):
        rows = np.array(batch)
        numerators, weights = _weighted(source, rows, settings)
        insert(halves, geometry, rows, numerators, weights, settings.symmetry)
    return HalfSums(halves, counts, _noise(source, settings, halves[0]))


def insert(
    halves: tuple[Backprojector, Backprojector],
    geometry: Geometry,
    rows: np.ndarray,
    numerators: Complex[Tensor, "b box half"],
    weights: Float[Tensor, "b box half"],
    symmetry: str,
) -> None:
    """Add these rows to the sums of their half sets, at all their mates."""
    rotations = geometry.slices(rows, weights)
    mates = point_group(symmetry).to(rotations)
    for half, sums in enumerate(halves, start=1):
        kept = torch.from_numpy(np.flatnonzero(geometry.half[rows] == half)).to(rotations.device)
        for mate in mates if len(kept) else ():
            sums.insert(numerators[kept], weights[kept], mate @ rotations[kept])


def _weighted(source: Source, rows: np.ndarray, settings: MapSettings) -> tuple[Tensor, Tensor]:
    """Return CTF F and CTF^2 q of every row; F already holds q, what was measured of the image."""
    images, share = source.views(rows)
    images, geometry = settings.contrast * images.to(settings.device), source.geometry
    transforms = centred_transforms(images, torch.as_tensor(geometry.origin_pixel[rows], device=images.device))
    back, weights = transfer_and_weight(source, rows, images, share)
    return transforms if back is None else transforms * back, weights


def transfer_and_weight(
    source: Source, rows: np.ndarray, images: Float[Tensor, "b box box"], share: Tensor | None
) -> tuple[Tensor | None, Float[Tensor, "b box half"]]:
    """Return what the transforms of these rows are multiplied by (None: 1), and its weight with q, what was measured.

    Where images mix frequencies they are multiplied by all that the projection was, premultiplied ones by CTF^2: their
    noise was mixed too, and what is undone by passes must be the adjoint of what is done.
    """
    box, transfer = images.shape[-1], source.geometry.transfer(rows, images)
    if transfer is None:
        back, weights = None, torch.ones(len(rows), box, box // 2 + 1, dtype=images.dtype, device=images.device)
    elif source.mixes:
        back, weights = transfer.image.conj(), transfer.image.abs().square()
    else:
        back, weights = transfer.back, transfer.weight
    return back, weights if share is None else weights * share.to(weights)


def _noise(source: Source, settings: MapSettings, sums: Backprojector) -> Float[Tensor, " shells"] | None:
    """Return the noise beside the particles, over the weight of a coefficient, in the units of the targets' power.

    What the images were multiplied by, and the phases of odd aberrations, are undone first but near the zeros of the
    CTF, so that plain and premultiplied images of one particle tell one noise.
    """
    if source.box < SMALLEST_BOX:
        return None
    rows, box = spread_rows(source.n, NOISE_PARTICLES), source.box
    images, share = source.views(rows)
    images = images.to(settings.device)
    transfer = source.geometry.transfer(rows, images)
    kept = torch.ones(1, box, box // 2 + 1, device=images.device)
    if transfer is not None:
        kept = transfer.weight / (transfer.weight + ZEROS * transfer.weight.mean())
        undone = transfer.back * transfer.ctf / (transfer.weight + ZEROS * transfer.weight.mean())
        images = torch.fft.irfft2(torch.fft.rfft2(images) * undone, s=(box, box))
    kept = kept.square() if share is None else kept.square() * share.to(kept)
    seen, counted = (
        radial_average(power)[: box // 2 + 1] for power in (background_spectrum(images, box / 2), kept.double().mean(0))
    )
    return seen / counted.clamp_min(TINY) * box**2 * (box / sums.grid.padded) ** 3
