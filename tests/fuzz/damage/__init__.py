"""What is done to good inputs: one file for each kind of file, and the registry of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from fuzz.cases import Changes
from fuzz.damage import (
    cryosparc,
    map_prior,
    measurements,
    models,
    mrc,
    pickles,
    plan,
    prior,
    reconstruction,
    relion_sums,
    runs,
    star,
    tables,
    words,
)

CHANGES: dict[str, Callable[[random.Random, int, Path], Changes]] = {
    "star": star.star,
    "stack": mrc.stack,
    "bare": mrc.stack,
    "cryosparc": cryosparc.cryosparc,
    "measurements": measurements.measurements,
    "half": measurements.half,
    "packed": measurements.packed,
    "prior": prior.prior,
    "map prior": map_prior.map_prior,
    "plan": plan.plan,
    "poses": pickles.poses,
    "ctf": pickles.ctf,
    "ind": pickles.ind,
    "latents": pickles.latents,
    "labels": tables.labels,
    "rows": tables.rows,
    "spectrum": tables.spectrum,
    "ctf table": tables.ctf_table,
    "volume": mrc.volume,
    "half map": mrc.volume,
    "reconstruction": reconstruction.reconstruction,
    "model": models.model,
    "relion sums": relion_sums.sums,
    "relion grid": relion_sums.grid,
    "run": runs.run,
    "words": words.words,
}
"""The changes of every kind of input: of random numbers, how many are drawn, and the folder of the run."""
