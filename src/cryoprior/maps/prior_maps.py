"""A map prior beside a prior-free map: asked once for each half map, judged by the half that it did not see."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.devices import choose_device
from cryoprior.errors import InputError
from cryoprior.image.soft_mask import widened_mask
from cryoprior.image.symmetry import point_group
from cryoprior.maps.anisotropy import missing_views
from cryoprior.maps.arrays import Array, volume_tensor
from cryoprior.maps.judgement import Judgement
from cryoprior.maps.map_set import MapSet
from cryoprior.maps.source import Source, Subset
from cryoprior.maps.sources import ReconstructedParticles
from cryoprior.prior.volume.asking import ask_map_prior
from cryoprior.prior.volume.checkpoint import load_map_prior
from cryoprior.prior.volume.map_prior import MapPrior
from cryoprior.referee.deviation import Drawing
from cryoprior.referee.judging import judge_prior
from cryoprior.referee.result import Audit

EXTEND_VOXEL, EXTEND_BOXES = 1.0, 1 / 64
"""How far the mask of the referee reaches beyond where that of the FSC is 1: voxels at least, and of the box."""
EDGE_VOXEL, EDGE_BOXES = 6.0, 1 / 16
"""Over how much it falls to 0: a sharper edge spreads coarse shells over fine ones, where it would pass for truth."""

log = logging.getLogger("cryoprior")


def prior_for(source: Source, prior: str | Path | MapPrior, device: str = "auto") -> MapPrior:
    """Return the map prior that is asked for the maps of a source, before any of its images is read.

    Raises
    ------
    InputError: no map prior there, a voxel size that it never saw, a box that is too small for it, images that hold a
        prior already.
    """
    whole = source.source if isinstance(source, Subset) else source
    if isinstance(whole, ReconstructedParticles) and whole.prior_weight > 0:
        raise InputError(
            f"<map_prior> with <prior_weight> {whole.prior_weight:g}: half maps with a prior in them cannot judge "
            "another; pass <prior_weight=0>, or the measurements (.zarr)"
        )
    loaded = prior if isinstance(prior, MapPrior) else load_map_prior(prior, device=choose_device(device))
    loaded.check_grid(source.box, source.geometry.pixel_size)
    return loaded


def ask_beside(
    maps: MapSet,
    judgement: Judgement,
    prior: MapPrior,
    symmetry: str = "C1",
    truth: Array | None = None,
    euler_deg: Array | None = None,
) -> Audit | None:
    """Return what a map prior makes of half maps and what they say of it; None where they determine no map.

    The half maps are those that were solved for: they are prior-free, no less apart than those of division alone, and
    better: on simulated particles the prior's maps of them agreed as well or better with the truth. The gated map is
    made of the map of all particles, so that it is that map within the mask
    wherever the gate is closed.

    Parameters
    ----------
    judgement: of the maps; its mask, widened, is that of the referee.
    symmetry: point group that was imposed on the maps.
    truth: the true map, (d, d, d), where it is known.
    euler_deg: the views of the particles, (n, 3): whether they leave directions out, where given.

    Raises
    ------
    InputError: a voxel size that the prior never saw, a box that is too small for it.
    """
    prior.check_grid(maps.box, maps.voxel_size_angstrom)
    if not judgement.determined:
        log.warning("the half maps agree at no resolution: the map prior was not asked")
        return None
    halves = (maps.half_1, maps.half_2)
    first, second = ask_map_prior(*halves, maps.voxel_size_angstrom, prior)
    audit = judge_prior(
        halves,
        (first, second),
        maps.voxel_size_angstrom,
        referee_mask(judgement.mask),
        None if truth is None else volume_tensor(truth, "truth", maps.box),
        len(point_group(symmetry)),
        maps.full,
    )
    left_out = euler_deg is not None and missing_views(maps, judgement, euler_deg, symmetry)
    return dataclasses.replace(audit, missing_views=left_out)


def drawing_beside(maps: MapSet, judgement: Judgement, prior: MapPrior, count: int, seed: int = 0) -> Drawing:
    """Return the draws that are to be made of a map whose audit :func:`ask_beside` returned; 2 or more."""
    return Drawing(prior, maps.full, (maps.half_1, maps.half_2), referee_mask(judgement.mask), count, seed)


def referee_mask(mask: Float[Tensor, "d d d"]) -> Float[Tensor, "d d d"] | None:
    """Return the mask within which half maps judge a prior: generous and soft; None where the given one is nowhere 1.

    See :mod:`cryoprior.metrics.referee` for why a tight one would not do.
    """
    box = len(mask)
    try:
        wide = widened_mask(mask, max(EXTEND_VOXEL, EXTEND_BOXES * box), max(EDGE_VOXEL, EDGE_BOXES * box))
    except InputError:
        return None
    return wide.to(torch.float32)
