"""Images row by row with what they are compared with, on disk or in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.measurement.arrays import as_images, as_particles, as_rows
from cryoprior.operators import Operator, parse_operator


@runtime_checkable
class Compared(Protocol):
    """Images row by row with what they are compared with, on disk or in memory; None where a part is not known."""

    @property
    def n(self) -> int:
        """Return the number of particles."""
        ...

    def read_original(self, rows: np.ndarray) -> Float[Tensor, "b box box"]:
        """Return the images that were measured."""
        ...

    def read_reconstruction(self, rows: np.ndarray) -> Float[Tensor, "b box box"]:
        """Return the images that are judged."""
        ...

    def read_clean(self, rows: np.ndarray) -> Float[Tensor, "b box box"] | None:
        """Return the images without noise."""
        ...

    def read_measurements(self, rows: np.ndarray) -> tuple[Float[Tensor, "b m"], Operator, list[int]] | None:
        """Return the measurements, their operator, and the particles' numbers in the whole stack."""
        ...


@dataclass(frozen=True, repr=False)
class ComparedArrays:
    """Images in memory, (n, box, box), with what they are compared with."""

    x: Float[Tensor, "n box box"]
    original: Float[Tensor, "n box box"]
    clean: Float[Tensor, "n box box"] | None
    y: Float[Tensor, "n m"] | None
    operator: Operator | None
    particles: list[int]

    @property
    def n(self) -> int:
        """Return the number of particles."""
        return len(self.x)

    def read_original(self, rows: np.ndarray) -> Float[Tensor, "b box box"]:
        """Return the images that were measured."""
        return self.original[rows]

    def read_reconstruction(self, rows: np.ndarray) -> Float[Tensor, "b box box"]:
        """Return the images that are judged."""
        return self.x[rows]

    def read_clean(self, rows: np.ndarray) -> Float[Tensor, "b box box"] | None:
        """Return the images without noise."""
        return None if self.clean is None else self.clean[rows]

    def read_measurements(self, rows: np.ndarray) -> tuple[Float[Tensor, "b m"], Operator, list[int]] | None:
        """Return the measurements, their operator, and the particles' numbers."""
        if self.y is None or self.operator is None:
            return None
        return self.y[rows], self.operator, [self.particles[row] for row in rows]


def compared_arrays(
    x: Any, original: Any, clean: Any, y: Any, operator: str | Operator | None, particles: Any
) -> ComparedArrays:
    """Return the arrays as float32 tensors on the processor; InputError where they do not belong together."""
    images = _on_processor(as_images(x, "x"))
    others = {"original": original, "clean": clean}
    known = {name: _on_processor(as_images(values, name)) for name, values in others.items() if values is not None}
    for name, other in known.items():
        if other.shape != images.shape:
            raise InputError(
                f"{name}: images of shape {tuple(other.shape)}; x has {tuple(images.shape)}; "
                "pass the same particles row by row"
            )
    constant = known["original"].amax((-2, -1)) <= known["original"].amin((-2, -1))
    if bool(constant.any()):
        row = int(constant.nonzero()[0])
        raise InputError(f"original: row {row} is constant, so no score is defined for it; leave this row out")
    if (y is None) != (operator is None):
        raise InputError("y and operator belong together; pass both, or neither")
    if isinstance(operator, str):
        operator = parse_operator(operator, box=images.shape[-1])
    rows = None if y is None else _on_processor(as_rows(y, "y", 2))
    if rows is not None and len(rows) != len(images):
        raise InputError(f"y: {len(rows)} rows; x has {len(images)}; pass the same particles row by row")
    return ComparedArrays(
        images, known["original"], known.get("clean"), rows, operator, as_particles(particles, len(images))
    )


def _on_processor(values: Tensor) -> Tensor:
    return values.to("cpu", torch.float32)
