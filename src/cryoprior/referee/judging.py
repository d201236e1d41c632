"""The audit itself: what the referee finds, the weights of the gate, and the maps that they make."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.image.density import is_dark
from cryoprior.image.soft_mask import cut_share
from cryoprior.metrics.fsc import fsc
from cryoprior.metrics.gate import gate, gated_map
from cryoprior.metrics.referee import referee
from cryoprior.referee.randomising import RandomisedPair
from cryoprior.referee.result import Audit, AuditedMaps, TrueCurves
from cryoprior.referee.words import CUTS


def judge_prior(
    halves: tuple[Float[Tensor, "d d d"], Float[Tensor, "d d d"]],
    priors: tuple[Float[Tensor, "d d d"], Float[Tensor, "d d d"]],
    voxel_size: float,
    mask: Float[Tensor, "d d d"] | None = None,
    truth: Float[Tensor, "d d d"] | None = None,
    symmetry_order: int = 1,
    full: Float[Tensor, "d d d"] | None = None,
    randomised: RandomisedPair | None = None,
) -> Audit:
    """Return what half maps say of the maps that a prior made of them; maps of one box on one device, unchecked.

    Where the mask cuts the particle the gate stays closed: the gated map is the prior-free one, everywhere.

    Parameters
    ----------
    full: the prior-free map of all particles, where it is better than the mean of the half maps: its noise is nearly
        theirs, so that the weights hold for it. The gated map is made of it.
    randomised: what the prior made of half maps with random phases.
    """
    f1, f2 = halves
    d1, d2 = of_one_power(*priors)
    found = referee(f1, f2, d1, d2, mask, symmetry_order)
    free, prior = (f1 + f2) / 2 if full is None else full, (d1 + d2) / 2
    cut = 0.0 if mask is None else _cut_share(mask.cpu(), free.cpu(), voxel_size)
    closed = cut > CUTS  # a gated map would end where the mask does, within the particle
    weights = gate(found.cpu(), closed=closed)
    within = None if closed else mask
    gated = [gated_map(f, d, weights, within) for f, d in ((free, prior), (f1, d1), (f2, d2))]
    maps = AuditedMaps(*(volume.cpu() for volume in (free, prior, d1, d2, *gated)))
    inside = None if mask is None else mask.cpu()
    true = None if truth is None else true_curves(truth.cpu(), maps, inside)
    return Audit(float(voxel_size), mask is not None, found.cpu(), weights, maps, true, randomised, cut_share=cut)


def _cut_share(mask: Float[Tensor, "d d d"], free: Float[Tensor, "d d d"], voxel_size: float) -> float:
    """Return how much of the particle, bright or dark, a mask leaves out."""
    sign = -1.0 if is_dark(free, voxel_size) else 1.0
    return cut_share(mask, sign * free, voxel_size)


def of_one_power(
    a: Float[Tensor, "d d d"], b: Float[Tensor, "d d d"]
) -> tuple[Float[Tensor, "d d d"], Float[Tensor, "d d d"]]:
    """Return two maps with the mean of their powers, as they are where one has a single value everywhere.

    Some programs scale every map by itself.
    """
    spread = [float((volume.double() - volume.double().mean()).square().sum().sqrt()) for volume in (a, b)]
    if min(spread) == 0:
        return a, b
    middle = (spread[0] * spread[1]) ** 0.5
    return a * (middle / spread[0]), b * (middle / spread[1])


def true_curves(truth: Float[Tensor, "d d d"], maps: AuditedMaps, mask: Float[Tensor, "d d d"] | None) -> TrueCurves:
    """Return the FSC with the true map of the maps of an audit, within the mask where there is one."""
    within = torch.ones_like(truth) if mask is None else mask
    return TrueCurves(*(fsc(volume * within, truth * within) for volume in (maps.free, maps.prior, maps.gated)))
