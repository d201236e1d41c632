"""What could have been kept instead of a measurement: operators of equal size that need no prior."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from cryoprior.operators import Bin, Crop, Operator, Quantize

BITS = 32
"""Bits of a recorded pixel and of a measured number; the compression is counted against them."""
LAST_LEVEL = (0.798, 1.494, 2.051, 2.514, 2.916, 3.28)
"""The outermost of 2^1, 2^2, ... equally spaced levels that round normal noise with the least error, in deviations."""
WIDEST_LEVEL = 4.0


def control_operators(images: Float[Tensor, "b box box"], compression: float) -> dict[str, Operator]:
    """Return by name the operators that keep as much as a measurement of this compression; ``images`` are examples."""
    box, factor = images.shape[-1], round(compression**0.5)
    operators: dict[str, Operator] = {"crop": Crop(box=box, size=max(1, round(box / compression**0.5)))}
    if factor > 1 and box % factor == 0 and abs(factor**2 - compression) < 0.1 * compression:
        operators["bin"] = Bin(box=box, factor=factor)
    bits = min(16, int(BITS / compression + 1e-6))
    if bits >= 1:
        operators["quantize"] = quantizer(images, bits)
    return operators


def quantizer(images: Float[Tensor, "b box box"], bits: int) -> Quantize:
    """Return the rounding to 2^bits levels that is best for images with the mean and deviation of these."""
    reach = LAST_LEVEL[bits - 1] if bits <= len(LAST_LEVEL) else WIDEST_LEVEL
    mean, deviation = float(images.double().mean()), float(images.double().std())
    return Quantize(box=images.shape[-1], bits=bits, low=mean - reach * deviation, high=mean + reach * deviation)
