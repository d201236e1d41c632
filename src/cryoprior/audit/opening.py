"""The files of what a map prior is audited on: particles, measurements, or two half maps, with what is beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float32
from numpy import ndarray

from cryoprior.audit.subject import Subject
from cryoprior.io.volumes import read_mask, read_volume
from cryoprior.maps.job import MapJob
from cryoprior.maps.prior_maps import prior_for
from cryoprior.maps.source import Source
from cryoprior.maps.sums import MapSettings
from cryoprior.prior import MapPrior
from cryoprior.referee.auditing import check_apart


class Beside(NamedTuple):
    """What goes with half maps: files of mask and true map, the point group, where to compute."""

    mask: Path | None
    truth: Path | None
    symmetry: str
    device: str

    def read(self, grid: tuple[int, float, str]) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Return mask and true map; InputError where one is not on the grid."""
        mask = None if self.mask is None else read_mask(self.mask, *grid)
        truth = None if self.truth is None else read_volume(self.truth, *grid)
        within, true = (None if values is None else torch.from_numpy(values) for values in (mask, truth))
        return within, true


def open_half_maps(
    half_1: Float32[ndarray, "d d d"],
    half_2: Float32[ndarray, "d d d"],
    voxel_size: float,
    beside: Beside,
) -> Subject:
    """Return two half maps with mask and truth from files.

    Raises
    ------
    InputError: half maps that are one, files on another grid.
    """
    grid = (len(half_1), voxel_size, "the half maps")
    halves = (torch.from_numpy(half_1).float(), torch.from_numpy(half_2).float())
    check_apart(*halves, "half1 and half2", "two maps of separate particles")
    within, true = beside.read(grid)
    return Subject(halves, voxel_size, within, true, beside.symmetry, device=beside.device)


def open_particles(
    path: Path,
    companions: Mapping[str, Any],
    ways: tuple[int, int, float],
    priors: Sequence[MapPrior],
    beside: Beside,
) -> tuple[Subject, tuple[Source, MapSettings]]:
    """Return the half maps of particles or measurements, and what they were made of and how.

    Parameters
    ----------
    companions: what :func:`cryoprior.read_particles` takes beside the path. ways: passes, batch and contrast.
    priors: those that are to be asked; what they never saw is said before any image is read.

    Raises
    ------
    InputError: as ``map`` raises, a grid that a prior never saw, files on another grid.
    """
    source = MapJob.open(path, None, 0.0, **companions).source
    for prior in priors:
        prior_for(source, prior)
    passes, batch, contrast = ways
    settings = MapSettings(beside.symmetry, passes, batch, beside.device, contrast)
    within, true = beside.read((source.box, source.geometry.pixel_size, "the particles"))
    return Subject.of_particles(source, settings, within, true), (source, settings)
