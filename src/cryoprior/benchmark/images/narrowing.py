"""Part of a plan, for a quick look: some of its cells and its first particles."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from cryoprior.benchmark.images.cells import FreeCell, ImageCell
from cryoprior.benchmark.images.plan import ImageMethod, ImagesPlan
from cryoprior.errors import InputError


def narrowed(plan: ImagesPlan, cells: str | None = None, particles: int | None = None) -> ImagesPlan:
    """Return the plan with only some of its cells and its first particles.

    cells: groups of words, separated by commas; a cell is kept if its name holds every word of one group.

    Raises
    ------
    InputError: no cell is kept.
    """
    if particles is not None:
        plan = dataclasses.replace(plan, particles=particles)
    if cells is None:
        return plan
    chosen = _chosen(plan.all_cells, cells)
    names = {cell.name for cell in chosen}
    methods = tuple(_within(method, chosen) for method in plan.methods if any(map(method.has, chosen)))
    kept = {method.name for method in methods}
    return dataclasses.replace(
        plan,
        grid=None,
        pixel=(),
        fourier=(),
        methods=methods,
        cells=tuple(FreeCell(**vars(cell)) for cell in chosen),
        named=tuple(name for name in plan.named if name in names),
        headline=tuple(name for name in plan.headline if name in kept),
        against=tuple(name for name in plan.against if name in kept),
    )


def _chosen(cells: Sequence[ImageCell], words: str) -> list[ImageCell]:
    wishes = [set(wish.split()) for wish in words.split(",")]
    chosen = [cell for cell in cells if any(wish <= set(cell.name.split()) for wish in wishes)]
    if not chosen:
        known = ", ".join(cell.name for cell in cells)
        raise InputError(f"bench: cells {words!r}; expected words of the names of some of {known}")
    return chosen


def _within(method: ImageMethod, cells: Sequence[ImageCell]) -> ImageMethod:
    """Return the method with only these cells, and their masks, named."""
    names, masks = {cell.name for cell in cells}, {cell.mask for cell in cells}
    return dataclasses.replace(
        method,
        cells=tuple(name for name in method.cells if name in names),
        masks=tuple(mask for mask in method.masks if mask in masks),
    )
