"""Images and volumes on another grid, keeping grey values and the centre, or saying by how much it moves."""

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


def resample_volume(
    volume: Float[np.ndarray, "z y x"], voxel_size: float, new_voxel_size: float, box: int
) -> Float32[np.ndarray, "box box box"]:
    """Return a volume sampled anew at ``box`` voxels a side of exactly the new size, centre (size // 2) upon centre.

    Grey values stay. The transform of each axis is evaluated at the new places, below the Nyquist frequency of the
    coarser grid; places outside of the volume are 0.

    Parameters
    ----------
    voxel_size, new_voxel_size: angstrom.
    """
    result = np.asarray(volume, np.float64)
    for size in volume.shape:  # each turn takes the first axis and puts the new one last
        result = np.tensordot(result, _sampling_matrix(size, new_voxel_size / voxel_size, box).T, axes=(0, 0))
    return np.asarray(result, np.float32)


def _sampling_matrix(size: int, step: float, box: int) -> Float[np.ndarray, "box size"]:
    """Return the matrix that evaluates one axis of ``size`` samples at ``box`` places, ``step`` samples apart."""
    places = (np.arange(box) - box // 2) * step
    at_old = np.arange(size) - size // 2
    frequency = np.arange((size - 1) // 2 + 1)
    frequency = frequency[frequency * step < size / 2]  # of both grids
    weight = np.where(frequency == 0, 1.0, 2.0) / size
    angles = 2 * np.pi / size * frequency[:, None]
    matrix = (np.cos(angles * places) * weight[:, None]).T @ np.cos(angles * at_old)
    matrix += (np.sin(angles * places) * weight[:, None]).T @ np.sin(angles * at_old)
    if size % 2 == 0 and step <= 1:  # the lone Nyquist frequency stands for both its signs
        matrix += np.outer(np.cos(np.pi * places), np.cos(np.pi * at_old)) / size
    inside = (places >= at_old[0] - 1e-9) & (places <= at_old[-1] + 1e-9)
    return np.asarray(matrix * inside[:, None])
