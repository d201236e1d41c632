"""Particles of any format written as one stack, with star and .cs files for all of them and for parts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from cryoprior.errors import InputError
from cryoprior.io import ParticleStack, StackWriter, check_images, write_star
from cryoprior.io.cryosparc.writing import write_cryosparc
from cryoprior.io.formats.columns import IMAGE_NAME
from cryoprior.io.identity import with_original_names
from cryoprior.io.rows import row_batches
from cryoprior.progress import track
from cryoprior.training.data import split_rows

WHOLE, TRAIN, VALIDATION = "particles", "train", "validation"
STACK = f"{WHOLE}.mrcs"

Parts = Mapping[str, Int[np.ndarray, " rows"]]


def rows_of_parts(stack: ParticleStack, split: float | None, seed: int) -> Parts:
    """Return the rows of every star file by its name, each in the order of the file that was read.

    Parameters
    ----------
    split: the share of the training particles, below 1, or their number; None makes no parts.
    seed: of the split.

    Raises
    ------
    InputError: a part without particles.
    """
    whole = {WHOLE: np.arange(stack.n)}
    if split is None:
        return whole
    first = round(split * stack.n) if split < 1 else int(split)
    if not 0 < first < stack.n:
        raise InputError(
            f"{stack.path}: <split> {split:g} puts {first} of {stack.n} particles in train.star; "
            "expected at least one in either part; pass another <split>"
        )
    train, validation = split_rows(stack.n, stack.n - first, seed)
    return whole | {TRAIN: train, VALIDATION: validation}


def write_converted(folder: Path, stack: ParticleStack, parts: Parts, batch: int, *, cs: bool = False) -> None:
    """Write all images as one stack, and one star file for each part; InputError for images that are not finite.

    cs: write each part for cryoSPARC too, with the same rows.
    """
    with StackWriter(folder / STACK, stack.n, stack.box, float(stack.pixel_size[0])) as writer:
        for places in track(row_batches(stack.n, batch), "converting"):
            images = stack.read(places)
            check_images(images, stack, places)
            writer.write(images)
    table = with_original_names(stack.table).assign(
        **{IMAGE_NAME: [f"{row + 1:06d}@{STACK}" for row in range(stack.n)]}
    )
    for name, rows in parts.items():
        write_star(folder / f"{name}.star", table.iloc[rows], stack.optics)
        if cs:
            write_cryosparc(folder / f"{name}.cs", table.iloc[rows], stack.optics)


def converted_summary(stack: ParticleStack, parts: Parts) -> dict[str, Any]:
    """Return what the summary says of the particles and their parts."""
    return {
        "n": stack.n,
        "box": stack.box,
        "pixel_size_angstrom": sorted({round(float(size), 6) for size in stack.pixel_size}),
        "resize": stack.resizing,
        "poses": stack.poses() is not None,
        "ctf": stack.ctf_parameters() is not None,
        "parts": {name: len(rows) for name, rows in parts.items()},
    }
