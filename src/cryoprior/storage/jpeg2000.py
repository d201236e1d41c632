"""JPEG 2000 at a stated quality, by Pillow and OpenJPEG."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from cryoprior.errors import InputError
from cryoprior.storage.encoding import Encoding
from cryoprior.storage.levels import SCALES, Steps, from_steps, in_steps

TOP, REACH = 2**16 - 1, 6.0
LENGTH = np.dtype("<u4")
LEAST_QUALITY, MOST_QUALITY = 1.0, 96.0
SMALLEST_BAND = 8
"""Pixels a side of the coarsest band of the wavelet transform."""
MOST_LEVELS = 6


@dataclass(frozen=True, kw_only=True)
class Jpeg2000(Encoding):
    """Every image a JPEG 2000 stream with loss; before them both ends of its grey values and its length.

    Parameters
    ----------
    quality: peak signal to noise ratio in decibel that a stream is made for; the peak is 12 deviations of the image, so
        that the mean square error is 144 10^(-quality / 10) of its variance.
    """

    quality: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not LEAST_QUALITY <= self.quality <= MOST_QUALITY:
            raise InputError(
                f"jpeg2000: quality={self.quality}; expected {LEAST_QUALITY:g} to {MOST_QUALITY:g} decibel"
            )

    def encode(self, images: Float32[np.ndarray, "n box box"]) -> bytes:
        """Return both ends of every image, the lengths of the streams, the streams."""
        from PIL import Image

        steps, streams = in_steps(images, TOP, REACH), []
        levels = int(np.clip(np.log2(images.shape[-1] / SMALLEST_BAND), 0, MOST_LEVELS - 1)) + 1
        for codes in steps.codes:
            stream = io.BytesIO()
            how = {"quality_mode": "dB", "quality_layers": [self.quality], "irreversible": True, "no_jp2": True}
            Image.fromarray(codes).save(stream, "JPEG2000", num_resolutions=levels, **how)
            streams.append(stream.getvalue())
        lengths = np.array([len(stream) for stream in streams], LENGTH)
        return steps.ends.tobytes() + lengths.tobytes() + b"".join(streams)

    def decode(self, content: bytes, n: int, box: int) -> Float32[np.ndarray, "n box box"]:
        """Return the images."""
        from PIL import Image

        head = 2 * SCALES.itemsize * n
        ends = np.frombuffer(content[:head], SCALES).reshape(n, 2)
        start = head + LENGTH.itemsize * n
        lengths = np.frombuffer(content[head:start], LENGTH)
        if len(content) != start + int(lengths.sum(dtype=np.int64)):
            raise ValueError(f"{len(content)} bytes; expected {start + int(lengths.sum(dtype=np.int64))}")
        codes = np.empty((n, box, box), np.uint16)
        for i, length in enumerate(lengths):
            codes[i] = np.asarray(Image.open(io.BytesIO(content[start : start + int(length)]), formats=["JPEG2000"]))
            start += int(length)
        return from_steps(Steps(codes, ends), TOP)
