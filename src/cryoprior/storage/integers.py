"""Pixels of a few bits in equal steps: EMAN2's advice is 5 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from cryoprior.errors import InputError
from cryoprior.io.packing import MOST_BITS, pack_codes, row_bytes, unpack_codes
from cryoprior.storage.encoding import Encoding
from cryoprior.storage.levels import SCALES, Steps, from_steps, in_steps

MOST_REACH = 100.0


@dataclass(frozen=True, kw_only=True)
class Integer(Encoding):
    """Whole numbers of 1 to 8 bits in equal steps, packed without gaps; before them both ends of the grey values.

    Parameters
    ----------
    bits: of a pixel.
    reach: deviations of an image on either side of its mean that the steps cover; what lies beyond is cut off.

    Source: the advice of EMAN2's documentation for its compressed HDF5 files, 5 bits. The file is ours.
    """

    bits: int
    reach: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.bits <= MOST_BITS:
            raise InputError(f"integer: bits={self.bits}; expected 1 to {MOST_BITS}")
        if not 0 < self.reach <= MOST_REACH:
            raise InputError(f"integer: reach={self.reach}; expected deviations above 0, at most {MOST_REACH:g}")

    def encode(self, images: Float32[np.ndarray, "n box box"]) -> bytes:
        """Return both ends of every image, then its packed pixels."""
        steps = in_steps(images, 2**self.bits - 1, self.reach)
        packed = pack_codes(steps.codes.reshape(len(images), -1).astype(np.uint8), self.bits)
        return steps.ends.tobytes() + packed.tobytes()

    def decode(self, content: bytes, n: int, box: int) -> Float32[np.ndarray, "n box box"]:
        """Return the images."""
        head, width = 2 * SCALES.itemsize * n, row_bytes(box**2, self.bits)
        if len(content) != head + n * width:
            raise ValueError(f"{len(content)} bytes; expected {head + n * width}")
        ends = np.frombuffer(content[:head], SCALES).reshape(n, 2)
        codes = unpack_codes(np.frombuffer(content[head:], np.uint8).reshape(n, width), box**2, self.bits)
        return from_steps(Steps(codes.reshape(n, box, box).astype(np.uint16), ends), 2**self.bits - 1)
