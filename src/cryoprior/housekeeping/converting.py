"""Particles of any format written as one stack, with star and .cs files for all of them and for parts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int

from cryoprior.errors import InputError
from cryoprior.io import ParticleStack, StackWriter, check_images, write_star
from cryoprior.io.cryosparc.writing import write_cryosparc
from cryoprior.io.formats.columns import IMAGE_NAME
from cryoprior.io.identity import with_original_names
from cryoprior.io.rows import row_batches
from cryoprior.progress import track
from cryoprior.training.data import FIXED_VALIDATION, drawn_rows, split_rows

WHOLE, TRAIN, VALIDATION, FIXED = "particles", "train", "validation", "validation_fixed"
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
    fixed = drawn_rows(validation, FIXED_VALIDATION, seed)
    return whole | {TRAIN: train, VALIDATION: validation, FIXED: fixed}


def write_converted(
    folder: Path, stack: ParticleStack, parts: Parts, batch: int, *, cs: bool = False, intensity: str = "kept"
) -> None:
    """Write all images as one stack, and one star file for each part; InputError for images that are not finite.

    cs: write each part for cryoSPARC too, with the same rows. intensity: ``per-image`` maps each image to [-1, 1].
    """
    with StackWriter(folder / STACK, stack.n, stack.box, float(stack.pixel_size[0])) as writer:
        for places in track(row_batches(stack.n, batch), "converting"):
            images = stack.read(places)
            check_images(images, stack, places)
            writer.write(images if intensity == "kept" else per_image(images))
    table = with_original_names(stack.table).assign(
        **{IMAGE_NAME: [f"{row + 1:06d}@{STACK}" for row in range(stack.n)]}
    )
    for name, rows in parts.items():
        write_star(folder / f"{name}.star", table.iloc[rows], stack.optics)
        if cs:
            write_cryosparc(folder / f"{name}.cs", table.iloc[rows], stack.optics)


def per_image(images: Float32[np.ndarray, "b box box"]) -> Float32[np.ndarray, "b box box"]:
    """Return images each mapped to [-1, 1] by its own minimum and maximum, as the paper's public code does.

    What was measured of such images has lost its grey scale, and noise moves the extremes: this reproduces the paper,
    and is no way to treat particles. No image may be constant.
    """
    low, high = images.min((1, 2), keepdims=True), images.max((1, 2), keepdims=True)
    mapped: np.ndarray = 2 * ((images - low) / (high - low)) - 1
    return mapped.astype(np.float32)


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
