"""RELION's input for a pose search: images of unit noise and of the map's sign, and the map on their scale."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cryoprior.errors import InputError
from cryoprior.external.relion import write_particles
from cryoprior.io import ParticleStack, write_map
from cryoprior.poses.reference import CLEAR, Scale, background, find_scale, without_background

log = logging.getLogger("cryoprior")


def write_search_input(
    folder: Path, particles: ParticleStack, volume: np.ndarray, diameter: float, contrast: str
) -> dict[str, Any]:
    """Return the contrast and the grey scale that the images have against the map, and write RELION's input.

    The images lose the mean of their background. All are divided by one number, the deviation of the noise. Dark
    images change their sign. The map takes the scale.

    Parameters
    ----------
    folder: gets ``particles.star``, its stack and ``reference.mrc``.
    volume: the map on the grid of the particles.
    diameter: of the particle, angstrom; beyond it is background.
    contrast: ``bright``, ``dark``, or ``auto``, which takes it from the images.

    Raises
    ------
    InputError: the contrast is ``auto``, and the images do not show its sign.
    """
    pixel_size = float(particles.pixel_size[0])
    radius_pixel = diameter / 2 / pixel_size
    scale = find_scale(particles, volume, radius_pixel)
    sign = contrast_sign(particles.path, scale, contrast)
    unit = scale.noise if scale.noise > 0 else 1.0
    outside = background(particles.box, radius_pixel).float()

    def change(images: np.ndarray) -> np.ndarray:
        centred = without_background(torch.from_numpy(np.array(images)), outside)[0]
        return np.asarray((centred * (sign / unit)).numpy())

    write_particles(particles, folder, poses=False, change=change)
    write_map(folder / "reference.mrc", volume * (abs(scale.factor) / unit), pixel_size)
    return {
        "contrast": "bright" if sign > 0 else "dark",
        "contrast_clearness": abs(scale.clearness),
        "reference_scale": abs(scale.factor),
    }


def contrast_sign(path: Path, scale: Scale, contrast: str) -> int:
    """Return 1 where images and map have one contrast, else -1: as told, or with ``auto`` as the images show it."""
    seen = 1 if scale.factor > 0 else -1
    if contrast == "auto":
        if not scale.clear:
            raise InputError(
                f"{path}: the sign of the contrast against the map is not clear ({scale.clearness:.1f} standard "
                f"errors, {CLEAR:g} expected); pass <contrast=bright> or dark, more particles, or the right map"
            )
        return seen
    told = 1 if contrast == "bright" else -1
    if told != seen or not scale.clear:
        log.warning("%s: <contrast=%s>, but the images say %+.1f standard errors", path, contrast, scale.clearness)
    return told
