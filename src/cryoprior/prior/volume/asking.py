"""What a map prior of this package makes of two half maps, each by itself."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from cryoprior.devices import choose_device
from cryoprior.metrics.fsc import fsc
from cryoprior.prior import load_map_prior

SURE, NOTHING = 0.999, 1e-3
"""Bounds of the FSC from which signal over noise is read."""


def ask_map_prior(
    half_1: Float[np.ndarray, "d d d"], half_2: Float[np.ndarray, "d d d"], voxel_size: float, prior: str, device: str
) -> list[Float[np.ndarray, "d d d"]]:
    """Return the posterior mean of each half map; of the other half it is told the FSC alone, by shell.

    Parameters
    ----------
    voxel_size: angstrom.
    prior: ``default``, or a folder that ``train-map`` wrote.

    Raises
    ------
    InputError: no map prior there, a voxel size that it never saw.
    """
    halves = [torch.from_numpy(np.array(half)).float() for half in (half_1, half_2)]
    shared = fsc(*halves).clamp(NOTHING, SURE)
    asked = load_map_prior(prior, device=choose_device(device))
    return [asked.mean(half, voxel_size, shared / (1 - shared)).numpy() for half in halves]
