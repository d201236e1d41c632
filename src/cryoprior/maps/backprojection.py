"""Half maps and full map of a source of particles, streamed through the back-projection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.backprojection import Backprojector, centred_transforms
from cryoprior.image.density import is_dark
from cryoprior.image.symmetry import point_group
from cryoprior.io.rows import row_batches
from cryoprior.maps.geometry import Geometry
from cryoprior.maps.source import Source
from cryoprior.progress import track


@dataclass(frozen=True, eq=False, repr=False)
class MapSet:
    """Two half maps and the map of all particles, (d, d, d) float32, z y x, in the grey scale of the images."""

    half_1: Float[Tensor, "d d d"]
    half_2: Float[Tensor, "d d d"]
    full: Float[Tensor, "d d d"]
    n_half_1: int
    n_half_2: int
    voxel_size_angstrom: float

    @property
    def box(self) -> int:
        """Voxels a side."""
        return int(self.full.shape[0])

    @property
    def n(self) -> int:
        """Particles in all."""
        return self.n_half_1 + self.n_half_2

    @property
    def dark(self) -> bool:
        """Whether the particle is darker than the solvent."""
        return is_dark(self.full, self.voxel_size_angstrom)

    def __repr__(self) -> str:
        particles = f"{self.n_half_1} + {self.n_half_2} particles"
        return f"MapSet({particles}, {self.box} voxels of {self.voxel_size_angstrom:.3f} A a side)"


@dataclass(frozen=True)
class MapSettings:
    """How maps are made.

    symmetry: point group; every image is inserted at all its mates.
    iterations: steps of conjugate gradients after the division by the weights.
    refinements: further passes where the images mix frequencies; see :mod:`cryoprior.maps.refinement`.
    batch: images in memory at a time; the map does not depend on it except for the order of float64 sums.
    contrast: factor on all images, 1 or -1.
    """

    symmetry: str = "C1"
    iterations: int = 1
    refinements: int = 2
    batch: int = 32
    device: str = "cpu"
    contrast: float = 1.0


def backproject_maps(source: Source, settings: MapSettings, label: str = "map") -> MapSet:
    """Return the maps of all particles of a source by one pass over its images.

    Raises
    ------
    InputError: a half set without particles; what reading the source raises.
    """
    geometry = source.geometry
    counts = [int((geometry.half == half).sum()) for half in (1, 2)]
    if not all(counts):
        raise InputError(
            f"{source.path}: {counts[0]} particles in half 1 and {counts[1]} in half 2; expected some in both; "
            "correct rlnRandomSubset, or remove the column"
        )
    halves = [Backprojector(source.box, device=settings.device) for _ in counts]
    mates = point_group(settings.symmetry)
    for batch in track(row_batches(source.n, settings.batch), label):
        rows = np.array(batch)
        numerators, weights, rotations = _weighted(source, geometry, rows, settings)
        for half, sums in enumerate(halves, start=1):
            kept = torch.from_numpy(np.flatnonzero(geometry.half[rows] == half)).to(rotations.device)
            for mate in mates.to(rotations):
                sums.insert(numerators[kept], weights[kept], mate @ rotations[kept])
    volumes = [sums.volume(settings.iterations).float().cpu() for sums in halves]
    halves[0].add(halves[1])
    full = halves[0].volume(settings.iterations).float().cpu()
    return MapSet(volumes[0], volumes[1], full, counts[0], counts[1], geometry.pixel_size)


def _weighted(
    source: Source, geometry: Geometry, rows: np.ndarray, settings: MapSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """Return CTF F, CTF^2 q and the slice of every row; F already holds q, what was measured of the image."""
    images, share = source.views(rows)
    images = settings.contrast * images.to(settings.device)
    device = images.device
    transforms = centred_transforms(images, torch.as_tensor(geometry.origin_pixel[rows], device=device))
    weights = torch.ones(transforms.shape, dtype=images.dtype, device=device)
    transfer = geometry.transfer(rows, images)
    if transfer is not None:
        transforms, weights = transforms * transfer.back, transfer.weight
    if share is not None:
        weights = weights * share.to(weights)
    return transforms, weights, geometry.slices(rows, images)
