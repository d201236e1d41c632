"""From the sums of a half set to the map that RELION compares its particles with in the next iteration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.external.relion_sums import RelionSums
from cryoprior.image.gridding import gridded_map
from cryoprior.image.shells import Shells
from cryoprior.prior import MapPrior

LEAST_FSC, MOST_FSC = 1e-3, 0.999
"""Bounds of the FSC from which signal over noise is read, RELION's own."""


@dataclass(frozen=True, eq=False, repr=False)
class Reference:
    """Maps of one half set, z y x, float64.

    map: what RELION is given. free: without any prior, divided by the weights alone; None where no prior was asked.
    prior: the posterior mean; None where no prior was asked.
    snr: power of signal over that of noise by shell 0 .. box // 2; None where no prior was asked.
    """

    map: Float[Tensor, "d d d"]
    free: Float[Tensor, "d d d"] | None = None
    prior: Float[Tensor, "d d d"] | None = None
    snr: Float64[np.ndarray, " shells"] | None = None


def reconstruct_reference(sums: RelionSums, prior: MapPrior | None, voxel_size: float) -> Reference:
    """Return the map that RELION is given, and what it was made of.

    Without a prior it is the Wiener estimate that RELION's own reconstruction gives. With one it is the posterior mean
    of the map that these sums give by themselves; of the other half set the prior is told the FSC alone. Both halves
    joined, after the last iteration, get RELION's own map whatever the prior: that map is the one that is deposited.

    Parameters
    ----------
    prior: None for RELION's own reconstruction.
    voxel_size: angstrom.

    Raises
    ------
    InputError: a prior is to be asked where RELION gave no spectrum; what :meth:`MapPrior.mean` raises.
    """
    if prior is None:
        return Reference(_gridded(sums, _inverse_power(sums)))
    snr = signal_to_noise(sums)
    free = _gridded(sums, None)
    found = prior.mean(free.float(), voxel_size, torch.from_numpy(snr)).double()
    mean = within_current_size(found, sums.current_size)
    given = _gridded(sums, _inverse_power(sums)) if sums.part == "joined" else mean
    return Reference(given, free, mean, snr)


def signal_to_noise(sums: RelionSums) -> Float64[np.ndarray, " shells"]:
    """Return the power of signal over that of noise by shell, of the map of these sums.

    It follows from the FSC of the half sets; without half sets from RELION's power of the signal and the mean weight.
    Beyond the current size there are no sums, and it is 0.
    """
    if sums.tau2 is None:
        raise InputError(
            f"{sums.path}: no spectrum of the signal in it, so no signal to noise; expected the file of a refinement; "
            "pass <map_prior=none>"
        )
    if sums.fsc is not None:
        fsc = sums.fsc.clip(LEAST_FSC, MOST_FSC)
        ratio = fsc / (1 - fsc) * (2 if sums.part == "joined" else 1)
    else:
        ratio = sums.tau2 * sums.padding**3 * mean_weight(sums)
    shells = np.arange(len(ratio))
    return np.asarray(np.where(shells < max(sums.current_size // 2, 1), ratio, 0.0))


def mean_weight(sums: RelionSums) -> Float64[np.ndarray, " shells"]:
    """Return the mean weight by shell 0 .. box // 2, over the places of the padded grid."""
    side = len(sums.weight)
    axis = np.fft.fftfreq(side, 1 / side) ** 2
    radius = np.sqrt(axis[:, None, None] + axis[:, None] + np.arange(sums.weight.shape[2]) ** 2)
    shell = (radius / sums.padding + 0.5).astype(np.int64).ravel()
    total = np.bincount(shell, sums.weight.ravel().astype(np.float64))
    mean = total / np.maximum(np.bincount(shell), 1)
    return np.asarray(np.pad(mean, (0, sums.box))[: sums.box // 2 + 1])


def within_current_size(volume: Float[Tensor, "d d d"], current_size: int) -> Float[Tensor, "d d d"]:
    """Return the map without what lies beyond the shells of RELION's sums, as RELION's own map is."""
    shells = Shells(len(volume))
    kept = shells.inside & (shells.index < max(current_size // 2, 1))
    cut: Tensor = torch.fft.irfftn(torch.fft.rfftn(volume) * kept, s=volume.shape)
    return cut


def _gridded(sums: RelionSums, inverse_power: Tensor | None) -> Float[Tensor, "d d d"]:
    numerator, weight = torch.from_numpy(sums.numerator), torch.from_numpy(sums.weight)
    return gridded_map(numerator, weight, sums.box, sums.current_size, sums.padding, inverse_power)


def _inverse_power(sums: RelionSums) -> Float[Tensor, " shells"] | None:
    """Return what is added to RELION's weights by shell; a shell without signal gets infinity."""
    if sums.tau2 is None:
        return None
    return 1 / (sums.padding**3 * torch.from_numpy(sums.tau2))
