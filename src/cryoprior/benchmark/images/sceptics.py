"""Floors of a cell that a sceptic would choose against the clean image: smoothing, and a spectrum with a mean image."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.benchmark.images.work import CellWork
from cryoprior.evaluation.prior_floors import PriorFloors
from cryoprior.image.smoothing import low_passed
from cryoprior.io.rows import row_batches

NAMES = {
    "mean_image": "mean image, no data",
    "gaussian": "Gaussian with mean image",
    "wiener_signal": "Wiener signal",
}


def sceptic_floors(cell: CellWork) -> dict[str, Float[Tensor, "n box box"]]:
    """Return images by name: least squares low-passed and, of the first prior that a method asks, its floors."""
    floors = {"least squares, low-passed": low_passed(cell.least_squares)}
    plan = cell.work.plan
    asked = next((plan.prior_of(method) for method in cell.wanted() if method.component.needs_prior), None)
    if asked is None:
        return floors
    made = list(_of_prior(cell, asked))
    return floors | {NAMES[name]: torch.cat([part[name] for part in made]) for name in made[0]}


def _of_prior(cell: CellWork, asked: str) -> Iterator[dict[str, Tensor]]:
    prior = PriorFloors.of(cell.calibration(asked), cell.sigma, cell.operator.box, cell.y)
    for rows in row_batches(len(cell.y), cell.work.batch):
        particles = [cell.particles[row] for row in rows]
        images = prior.images(cell.y[rows.start : rows.stop], cell.operator, particles)
        yield {name: x.cpu() for name, x in images.items()}
