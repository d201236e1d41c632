"""What could have been kept instead of a measurement: operators of equal size that need no prior."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from cryoprior.operators import Bin, Crop, Operator, Quantize
from cryoprior.operators.levels import MOST_BITS
from cryoprior.operators.rounding import with_levels

BITS = 32
"""Bits of a recorded pixel and of a measured number; the compression is counted against them."""


def control_operators(images: Float[Tensor, "b box box"], compression: float) -> dict[str, Operator]:
    """Return by name the operators that keep as much as a measurement of this compression; ``images`` are examples."""
    box, factor = images.shape[-1], round(compression**0.5)
    operators: dict[str, Operator] = {"crop": Crop(box=box, size=max(1, round(box / compression**0.5)))}
    if factor > 1 and box % factor == 0 and abs(factor**2 - compression) < 0.1 * compression:
        operators["bin"] = Bin(box=box, factor=factor)
    bits = min(MOST_BITS, int(BITS / compression + 1e-6))  # at 8 bits a ten-thousandth of the information is gone
    if bits >= 1:
        operators["quantize"] = quantizer(images, bits)
    return operators


def quantizer(images: Float[Tensor, "b box box"], bits: int) -> Quantize:
    """Return the rounding to 2^bits levels that is best for images with the mean and deviation of these."""
    return with_levels(Quantize(box=images.shape[-1], bits=bits), images.flatten(1), range(len(images)))
