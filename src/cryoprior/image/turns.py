"""The eight turns and mirror images of a square."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def turned(images: Float[Tensor, "b box box"], turn: int) -> Float[Tensor, "b box box"]:
    """Return the images turned by ``turn % 4`` quarter turns, then transposed for a turn of 4 or more."""
    rotated = torch.rot90(images, turn % 4, (-2, -1))
    return rotated.mT if turn >= 4 else rotated


def turned_back(images: Float[Tensor, "b box box"], turn: int) -> Float[Tensor, "b box box"]:
    """Return the images that :func:`turned` took to these."""
    return torch.rot90(images.mT if turn >= 4 else images, -(turn % 4), (-2, -1))
