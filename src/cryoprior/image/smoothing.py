"""An image as anybody can smooth it: what a signal that a prior found is looked at beside."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from cryoprior.image.spectrum import apply_filter, frequency_radius

CUTOFF = 0.1
"""Of the low-pass, in cycles per pixel: a fifth of the Nyquist frequency."""
SUMMED = 4
"""Pixels a side of the blocks that are summed."""


def low_passed(x: Float[Tensor, "b box box"]) -> Float[Tensor, "b box box"]:
    """Return the images without what lies beyond a tenth of a cycle per pixel."""
    return apply_filter(x, (frequency_radius(x.shape[-1], x.device) <= CUTOFF).to(x))


def summed(x: Float[Tensor, "b box box"]) -> Float[Tensor, "b box box"]:
    """Return the images with every block of 4 x 4 pixels at its mean; a block at the edge may be smaller."""
    coarse = avg_pool2d(x[:, None], SUMMED, ceil_mode=True)
    fine: Tensor = interpolate(coarse, scale_factor=SUMMED, mode="nearest")[:, 0]
    return fine[:, : x.shape[-2], : x.shape[-1]]


def smoothed_views(x: Float[Tensor, "b box box"]) -> dict[str, Float[Tensor, "b box box"]]:
    """Return the two by name in words."""
    return {"summed 4 x 4": summed(x), "low-passed": low_passed(x)}
