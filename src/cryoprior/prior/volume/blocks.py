"""Large boxes in blocks: each is computed with as much around it as can change it, on the torus of the whole box."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor


def in_blocks(
    compute: Callable[[Float[Tensor, "1 planes z y x"]], Float[Tensor, "1 z y x"]],
    planes: Float[Tensor, "1 planes d d d"],
    block: int,
    reach: int,
    multiple: int,
) -> Float[Tensor, "1 d d d"]:
    """Return what a local computation on a torus gives for the whole box, block after block.

    Parameters
    ----------
    block: voxels a side; rounded down to the multiple. A box that is no larger is computed at once.
    reach: how far away a voxel can still change the result, a multiple of ``multiple``.
    multiple: what the computation groups voxels by: blocks start at its multiples.
    """
    box = planes.shape[-1]
    block = max(multiple, block // multiple * multiple)
    if block >= box:
        return compute(planes)
    out = planes.new_empty(1, box, box, box)
    for start in product(range(0, box, block), repeat=3):
        sizes = [min(block, box - place) for place in start]
        part = planes
        for axis, (place, size) in enumerate(zip(start, sizes, strict=True), 2):
            index = torch.arange(place - reach, place + size + reach, device=planes.device) % box
            part = part.index_select(axis, index)
        z, y, x = (slice(place, place + size) for place, size in zip(start, sizes, strict=True))
        inner = [slice(reach, reach + size) for size in sizes]
        out[:, z, y, x] = compute(part)[:, inner[0], inner[1], inner[2]]
    return out
