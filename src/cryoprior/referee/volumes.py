"""The maps of an audit under the names of their files."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.io import write_map
from cryoprior.metrics.fsc import volume_shells
from cryoprior.metrics.referee import Curve
from cryoprior.referee.result import Audit


def prior_volumes(audit: Audit) -> dict[str, Float[Tensor, "d d d"]]:
    """Return the prior's map, the gated map and the half maps of each by the names of their files.

    ``map_gated_filtered`` is the gated map with every shell weighted by its agreement with the truth, to look at.
    """
    maps = audit.maps
    return {
        "map_prior": maps.prior,
        "map_gated": maps.gated,
        "map_gated_filtered": weighted(maps.gated, audit.weights.gated),
        "half1_prior": maps.prior_half_1,
        "half2_prior": maps.prior_half_2,
        "half1_gated": maps.gated_half_1,
        "half2_gated": maps.gated_half_2,
    }


def write_prior_volumes(folder: Path, audit: Audit) -> None:
    """Write the maps of :func:`prior_volumes`, each under its name with ``.mrc``."""
    for name, volume in prior_volumes(audit).items():
        write_map(folder / f"{name}.mrc", volume.float().numpy(), audit.voxel_size_angstrom)


def weighted(volume: Float[Tensor, "d d d"], agreement: Curve) -> Float[Tensor, "d d d"]:
    """Return a map with every shell multiplied by its agreement with the truth, 0 to 1; nothing where it is unknown.

    It is what the map's own figure of merit asks for: the agreement of half maps with the truth is
    sqrt(2 FSC / (1 + FSC)).

    Source: Rosenthal and Henderson, J. Mol. Biol. 333 (2003) 721, Eq. 13.
    """
    weights = torch.nan_to_num(agreement.double(), nan=0.0).clamp(0, 1)
    weights[0] = 1.0
    transfer = torch.cat([weights, weights.new_zeros(1)])[volume_shells(len(volume)).long()]
    found: Tensor = torch.fft.irfftn(torch.fft.rfftn(volume.double()) * transfer, s=tuple(volume.shape))
    return found.to(volume)
