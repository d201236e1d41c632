"""Images resampled to another box, keeping grey values and the image centre, or saying by how much it moves."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from cryoprior.errors import InputError

METHODS = ("fourier", "bicubic")


def resize(images: Float[np.ndarray, "b box box"], box: int, method: str) -> Float32[np.ndarray, "b new new"]:
    """Return the images resampled to ``box`` pixels a side over the same field of view, float32.

    ``fourier`` crops (or pads) the transform, so that the mean and the grey values of whatever both grids can hold
    stay, and the pixel box // 2 stays the centre. ``bicubic`` is skimage's, order 3, anti-aliased where it shrinks:
    pixel centres lie half a pixel inside the border of the field of view, so the centre moves: :func:`centre_shift`.
    """
    old = images.shape[-1]
    if method not in METHODS:
        raise InputError(f"resize {method!r}: expected one of {', '.join(METHODS)}")
    if box < 2:
        raise InputError(f"resize to a box of {box}: expected at least 2 pixels")
    if box == old:
        return np.asarray(images, np.float32)
    if method == "fourier":
        matrix = fourier_matrix(old, box).astype(images.dtype)
        return np.asarray(matrix @ images @ matrix.T, np.float32)
    from skimage.transform import resize as skimage_resize

    bicubic: Any = skimage_resize

    shape, shrinks = (box, box), box < old
    arguments = {"order": 3, "mode": "reflect", "anti_aliasing": shrinks, "preserve_range": True, "clip": False}
    return np.stack([bicubic(image, shape, **arguments) for image in images]).astype(np.float32)


def centre_shift(old: int, new: int, method: str) -> float:
    """Return by how many new pixels, in y and in x, the old image centre lies beyond the new one after resizing."""
    if method == "fourier" or old == new:
        return 0.0
    return (old // 2 + 0.5) * new / old - 0.5 - new // 2


@lru_cache(maxsize=8)
def fourier_matrix(old: int, new: int) -> Float[np.ndarray, "new old"]:
    """Return the matrix that resamples one axis by cropping or padding its discrete Fourier transform.

    Frequencies that both grids hold are copied, with the weight new / old that keeps grey values. Of an even box the
    Nyquist frequency stands for its two signs: cropped, the two are added, as sampling would; padded, it is split.
    """
    keep = min(old, new)
    frequency = np.arange(-(keep // 2), keep // 2 + 1, dtype=np.float64)
    weight = np.ones(len(frequency))
    if old % 2 == 0 and old < new:
        weight[[0, -1]] = 0.5
    at_new = 2 * np.pi * np.outer((np.arange(new) - new // 2) / new, frequency)
    at_old = 2 * np.pi * np.outer((np.arange(old) - old // 2) / old, frequency)
    return np.asarray((np.cos(at_new) * weight @ np.cos(at_old).T + np.sin(at_new) * weight @ np.sin(at_old).T) / old)
