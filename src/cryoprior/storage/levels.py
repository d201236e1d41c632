"""The grey values of an image as whole numbers: uniform steps about its mean."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt16

SCALES = np.dtype("<f4")


class Steps(NamedTuple):
    """Images as whole numbers from 0 to ``top``, and the grey values of both ends by image."""

    codes: UInt16[np.ndarray, "n box box"]
    ends: Float32[np.ndarray, "n 2"]


def in_steps(images: Float32[np.ndarray, "n box box"], top: int, reach: float) -> Steps:
    """Return images in ``top`` equal steps within ``reach`` deviations about their mean; what is beyond is cut off."""
    mean, deviation = images.mean(axis=(1, 2), dtype=np.float64), images.std(axis=(1, 2), dtype=np.float64)
    ends = np.stack([mean - reach * deviation, mean + reach * deviation], axis=1).astype(SCALES)
    low, high = (ends[:, i, None, None].astype(np.float64) for i in (0, 1))
    width = np.where(high > low, high - low, 1.0)
    codes = np.clip(np.rint((images - low) / width * top), 0, top).astype(np.uint16)
    return Steps(codes, ends)


def from_steps(steps: Steps, top: int) -> Float32[np.ndarray, "n box box"]:
    """Return the grey values of whole numbers."""
    low, high = (steps.ends[:, i, None, None].astype(np.float64) for i in (0, 1))
    return (low + (high - low) * (steps.codes / top)).astype(np.float32)
