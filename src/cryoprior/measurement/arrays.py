"""What a Python caller passes, as tensors: checked once, here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cryoprior.errors import InputError

AXES = {2: "(particles, numbers)", 3: "(particles, box, box)"}


def as_rows(values: Any, name: str, axes: int) -> Tensor:
    """Return an array as a floating-point tensor on its own device; what is no float becomes float32.

    Parameters
    ----------
    values: a tensor, a numpy array or nested lists.
    name: what the caller calls it, for messages.
    axes: 3 for images, 2 for measurements.

    Raises
    ------
    InputError: another number of axes, no particle at all, or values that are not finite.
    """
    rows = values.detach() if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    rows = rows if rows.is_floating_point() else rows.float()
    if rows.ndim != axes or not rows.numel():
        raise InputError(f"{name}: an array of shape {tuple(rows.shape)}; expected {AXES[axes]}")
    bad = ~torch.isfinite(rows).flatten(1).all(dim=1)
    if bool(bad.any()):
        raise InputError(f"{name}: row {int(bad.nonzero()[0])} holds values that are not finite; leave this row out")
    return rows


def as_images(values: Any, name: str) -> Tensor:
    """Return images as :func:`as_rows` does, (b, box, box); InputError where they are not square too."""
    images = as_rows(values, name, 3)
    if images.shape[1] != images.shape[2]:
        raise InputError(f"{name}: images of {images.shape[1]} x {images.shape[2]} pixels; expected square ones")
    return images


def check_choice(value: str, name: str, choices: Iterable[str]) -> None:
    """Raise InputError for a value that is none of the choices."""
    known = tuple(choices)
    if value not in known:
        raise InputError(f"<{name}> {value!r}: expected one of {', '.join(known)}")


def check_least(value: float, name: str, least: float) -> None:
    """Raise InputError for a value below the least that is allowed, or for NaN."""
    if not value >= least:
        raise InputError(f"<{name}> {value}: expected at least {least}")


def as_particles(particles: Sequence[int] | np.ndarray | Tensor | None, n: int) -> list[int]:
    """Return the particles' numbers in the whole stack, 0 to n - 1 where none are given; InputError unless n."""
    numbers = list(range(n)) if particles is None else [int(i) for i in particles]
    if len(numbers) != n:
        raise InputError(f"particles: {len(numbers)} numbers for {n} rows; pass one for each row")
    return numbers
