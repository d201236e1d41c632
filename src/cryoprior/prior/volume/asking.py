"""What a map prior of this package makes of two half maps, each by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.devices import choose_device
from cryoprior.image.density import is_dark
from cryoprior.metrics.fsc import fsc
from cryoprior.prior.volume.checkpoint import load_map_prior
from cryoprior.prior.volume.map_prior import MapPrior

SURE, NOTHING = 0.999, 1e-3
"""Bounds of the FSC from which signal over noise is read."""

Volume = Float[Tensor, "d d d"] | Float[np.ndarray, "d d d"]


def ask_map_prior(
    half_1: Volume,
    half_2: Volume,
    voxel_size: float,
    prior: str | Path | MapPrior,
    device: str = "auto",
    told: Float[Tensor, " shells"] | None = None,
) -> list[Float[Tensor, "d d d"]]:
    """Return the posterior mean of each half map; of the other half it is told the FSC alone, by shell.

    The prior knows bright molecules: maps whose mean is dark are turned before it is asked, and back.

    Parameters
    ----------
    voxel_size: angstrom.
    prior: ``default``, a folder that ``train-map`` wrote, or a map prior, which stays on its device.
    device: where to compute.
    told: ratio of signal to noise by shell, in place of what the FSC of the two says.

    Raises
    ------
    InputError: no map prior there, a voxel size that it never saw, a box that is too small for it.
    """
    asked = prior if isinstance(prior, MapPrior) else load_map_prior(prior, device=choose_device(device))
    halves = [(h if isinstance(h, Tensor) else torch.from_numpy(np.array(h))).float() for h in (half_1, half_2)]
    ratio = signal_to_noise(*halves) if told is None else told
    sign = -1.0 if is_dark((halves[0] + halves[1]) / 2, voxel_size) else 1.0
    return [sign * asked.mean(sign * half, voxel_size, ratio) for half in halves]


def draws_of_map(
    full: Float[Tensor, "d d d"],
    half_1: Float[Tensor, "d d d"],
    half_2: Float[Tensor, "d d d"],
    voxel_size: float,
    prior: MapPrior,
    count: int,
    seed: int = 0,
) -> Iterator[Float[Tensor, "d d d"]]:
    """Yield draws of what the map of all particles may look like, in its grey scale; see :meth:`MapPrior.samples`.

    The noise of the full map is told as half the power of that of its half maps. Dark maps are turned, and back.
    """
    full, half_1, half_2 = (volume.float() for volume in (full, half_1, half_2))
    sign = -1.0 if is_dark((half_1 + half_2) / 2, voxel_size) else 1.0
    told = 2 * signal_to_noise(half_1, half_2)
    for drawn in prior.samples(sign * full, voxel_size, told, count, seed=seed):
        yield sign * drawn


def signal_to_noise(half_1: Float[Tensor, "d d d"], half_2: Float[Tensor, "d d d"]) -> Float[Tensor, " shells"]:
    """Return power of signal over that of noise by shell of one half map, FSC / (1 - FSC)."""
    shared = fsc(half_1, half_2).clamp(NOTHING, SURE)
    return shared / (1 - shared)
