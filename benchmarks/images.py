"""Reconstructed images on disk, so that what took long is not reconstructed again for another table."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arguments import Run
from cells import Cell
from datasets import Images
from harness import Fitted, fit_prior, measure, prior_digest, reconstruct
from table import progress
from torch import Tensor

from cryoprior.operators import Operator
from cryoprior.prior import Prior
from cryoprior.solvers import parse_solver

_FITTED: dict[tuple[object, ...], tuple[Operator, Tensor, Fitted]] = {}


def slug(text: str) -> str:
    """Return a text as part of a file name."""
    return text.replace(" ", "_").replace("=", "").replace(":", "-").replace(",", "-")


def reconstructed(
    run: Run,
    prior: Prior,
    images: Images,
    cell: Cell,
    text: str,
    *,
    n: int | None = None,
    first: int = 0,
    seed: int = 0,
) -> Tensor:
    """Return the images of particles first .. first + n - 1 by a solver, kept under ``work/images`` by prior and set.

    The prior is fitted to all particles of the set, as a user would have it.
    """
    folder = run.options.work / "images" / f"{images.name}-{images.box}-{len(images.original)}-{prior_digest(prior)}"
    n = len(images.original) if n is None else n
    path = folder / f"{slug(cell.name)}--{slug(text)}-{first}-{n}-{seed}.npy"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        reconstructor, y = fitted(run, prior, images, cell, text)
        x = reconstruct(dataclasses.replace(reconstructor, seed=seed), y[first : first + n], first=first).x
        _write(path, x.numpy().astype(np.float32))
        progress(f"{cell.name} {text} {n} from {first}, seed {seed}: {time.perf_counter() - start:.0f} s")
    return torch.from_numpy(np.load(path))


def fitted(run: Run, prior: Prior, images: Images, cell: Cell, text: str) -> tuple[Any, Tensor]:
    """Return the solver with the prior fitted to the set, and the measurements; the last fit is remembered."""
    key = (prior_digest(prior), images.name, images.box, len(images.original), cell.name, run.options.spectrum)
    if key not in _FITTED:
        operator = cell.operator(images.box)
        y = measure(operator, images.original)
        _FITTED.clear()
        _FITTED[key] = (operator, y, fit_prior(prior, operator, y, spectrum=run.options.spectrum))
    operator, y, found = _FITTED[key]
    return found.reconstructor(parse_solver(text), operator, dtype=run.options.dtype), y


def _write(path: Path, images: np.ndarray) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.save(file, images)
    partial.replace(path)
