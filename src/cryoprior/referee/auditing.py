"""The audit of maps in memory: two half maps without a prior, two maps that a prior made of one half each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.devices import choose_device
from cryoprior.errors import InputError
from cryoprior.image.symmetry import point_group
from cryoprior.measurement.arrays import as_rows
from cryoprior.metrics.referee import Referee
from cryoprior.referee.judging import judge_prior
from cryoprior.referee.randomising import RandomisedPair, randomised_pair
from cryoprior.referee.result import Audit

Array = Tensor | np.ndarray | Sequence[Any]

SAME = 1e-5
"""Size of a difference, over that of the map, below which two maps are one."""
SWAPPED = 8.0
"""Standard deviations by which a prior's map must follow the noise of the other half to be called swapped."""


def audit_maps(
    half_1: Array,
    half_2: Array,
    prior_half_1: Array,
    prior_half_2: Array,
    voxel_size: float,
    mask: Array | None = None,
    truth: Array | None = None,
    symmetry: str = "C1",
    randomised: tuple[int, Array, Array] | None = None,
    device: str = "auto",
) -> Audit:
    """Return what half maps say of the maps that a prior made of them, as ``cryoprior audit`` does.

    Parameters
    ----------
    half_1, half_2: half maps without a prior, (d, d, d), z y x, of one grey scale.
    prior_half_1, prior_half_2: what the prior made of half 1 alone and of half 2 alone.
    voxel_size: angstrom.
    mask: 0 to 1, generous and soft; none where None.
    truth: the true map, to check the verdict by.
    symmetry: the point group that was imposed on the maps.
    randomised: a shell, and what the prior made of both half maps with random phases from that shell on.
    device: where to compute, ``auto``, ``cpu``, ``cuda`` ...

    Raises
    ------
    InputError: maps that are no finite cubes of one box, half maps that are one, prior maps that are one, are made of
        the other half, or have the other contrast.
    """
    place = choose_device(device)
    order = len(point_group(symmetry))
    if not voxel_size > 0:
        raise InputError(f"<voxel_size> {voxel_size}: expected angstrom above 0")
    f1 = _volume(half_1, "half1", None).to(place)
    rest = {"half2": half_2, "prior_half1": prior_half_1, "prior_half2": prior_half_2}
    f2, d1, d2 = (_volume(values, name, len(f1)).to(place) for name, values in rest.items())
    within = None if mask is None else _volume(mask, "mask", len(f1)).to(place)
    check_apart(f1, f2, "half1 and half2", "two maps of separate particles")
    check_apart(d1, d2, "prior_half1 and prior_half2", "two maps, each made of its own half alone")
    if min(float(volume.double().std()) for volume in (d1, d2)) == 0:
        raise InputError("prior_half1 or prior_half2 has one value everywhere; expected maps with density")
    true = None if truth is None else _volume(truth, "truth", len(f1))
    pair = None if randomised is None else _randomised(*randomised, len(f1), None if within is None else within.cpu())
    audit = judge_prior((f1, f2), (d1, d2), voxel_size, within, true, order, randomised=pair)
    _check_sides(audit.found)
    return audit


def check_apart(a: Float[Tensor, "d d d"], b: Float[Tensor, "d d d"], names: str, expected: str) -> None:
    """Raise InputError where two maps are one, to rounding or but for a factor."""
    size_a, size_b = (float(torch.linalg.vector_norm(volume.double())) for volume in (a, b))
    if min(size_a, size_b) == 0:
        raise InputError(f"{names}: one is zero everywhere; expected maps with density; check the files")
    alike = float((a.double() * b.double()).sum()) / (size_a * size_b)
    if 1 - alike < SAME**2:
        raise InputError(f"{names} are the same map; expected {expected}; check the names of the files")


def _volume(values: Array, name: str, box: int | None) -> Float[Tensor, "d d d"]:
    volume = as_rows(values, name, 3).float()
    side = len(volume) if box is None else box
    if volume.shape != (side,) * 3:
        raise InputError(f"{name} of shape {tuple(volume.shape)}: expected a cube of {side} voxels; resample it")
    return volume


def _check_sides(found: Referee) -> None:
    """Raise InputError where the prior's maps are made of the other half each, or have the other contrast."""
    known = found.known
    if not bool(known.any()):
        return
    counts = found.counts[known]
    agreement = found.prior().value[known]
    if float((counts * agreement).sum() / counts.sum()) < -0.1:
        raise InputError("the prior's maps have the other contrast than the half maps; multiply them with -1")
    noise = (found.noise * (found.prior_half_power - found.prior_power)).clamp_min(1e-300).sqrt()
    along = (found.difference / noise).clamp(-1, 1)[known]
    if float((counts * along).sum() / counts.sum().sqrt()) < -SWAPPED:
        raise InputError(
            "prior_half1 and prior_half2 each follow the noise of the other half; expected prior_half1 made of half1 "
            "and prior_half2 of half2; if they were mixed up, swap them; if not, pass a <mask> that leaves the solvent "
            "out, where a prior can turn the sign of noise"
        )


def _randomised(
    from_shell: int, prior_1: Array, prior_2: Array, box: int, mask: Float[Tensor, "d d d"] | None
) -> RandomisedPair:
    first, second = (_volume(values, name, box).cpu() for values, name in ((prior_1, "prior1"), (prior_2, "prior2")))
    return randomised_pair(first, second, from_shell, mask)
