"""The pose errors of a benchmark: full particles, and the methods of its plan in some cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from cryoprior.benchmark.maps.images import BY_LEAST_SQUARES, BenchImages
from cryoprior.benchmark.maps.page import FULL
from cryoprior.benchmark.plan import PosesPlan
from cryoprior.benchmark.steps import run_step, slug


def pose_table(images: BenchImages) -> pd.DataFrame:
    """Return the pose errors that the plan asks for, one row per cell and method; empty where it asks for none."""
    wanted = images.plan.poses
    if wanted is None:
        return pd.DataFrame()
    if wanted.simulate is not None:
        own = dataclasses.replace(images.plan, simulate=wanted.simulate, star=None, truth=None)
        images = dataclasses.replace(images, plan=own, folder=images.folder / "posed")
    rows = []
    for cell, method, star in _posed(images, wanted):
        errors = run_step(
            "poses",
            images.folder / "poses" / slug(f"{cell} {method}"),
            particles=star,
            truth=images.particles,
            reference_map=images.reference,
            limit=wanted.particles,
            lowpass=wanted.lowpass,
            healpix_order=wanted.healpix_order,
            mode="search",
            contrast="bright",
            threads=images.threads or 1,
        )
        rows.append({"cell": cell, "method": method, **errors})
    return pd.DataFrame(rows)


def _posed(images: BenchImages, wanted: PosesPlan) -> Iterator[tuple[str, str, Path]]:
    yield "", FULL, images.particles
    methods = {method.name: method for method in (BY_LEAST_SQUARES, *images.plan.methods)}
    cells = {cell.name: cell for cell in images.plan.cells}
    for cell in wanted.cells:
        for method in wanted.methods:
            yield cell, method, images.reconstruction(cells[cell], methods[method], wanted.particles)
