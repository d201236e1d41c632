"""Images known by what they show: a digest of 64 bits that does not ask for file, row, name or format."""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Float, Float32, Int, UInt64

from cryoprior.io.particles import ParticleStack
from cryoprior.io.rows import row_batches

BATCH = 64
LEAST_PEAK = 2.0**-6
"""Below it too little of an image is left in float16: images of such grey values are digested in float32."""


def digests_of(images: Float[np.ndarray, "b box box"]) -> UInt64[np.ndarray, " b"]:
    """Return the digest of every image, (b,): blake2b of its pixels as float16, little-endian, row by row.

    A stack that was saved again in float16 has the digests of the float32 one, as both round the same way. Images whose
    largest magnitude is no normal number of float16 (above 65504, or below 1/64) are digested in float32. -0 is 0.
    What was scaled, inverted, filtered or resampled since is another image.
    """
    with np.errstate(over="ignore"):
        half = np.asarray(images, "<f2") + np.float16(0)  # -0 + 0 is 0
    peak = np.abs(half).max(axis=(1, 2), initial=0)
    fits = np.isfinite(peak) & (peak >= LEAST_PEAK)
    found = np.empty(len(half), np.uint64)
    for row in range(len(half)):
        pixels = half[row] if fits[row] else np.asarray(images[row], "<f4") + np.float32(0)
        content = np.ascontiguousarray(pixels).tobytes()
        found[row] = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
    return found


def image_digests(stack: ParticleStack, rows: Int[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """Return the digests of the images at these places as they are on disk, at their own box, (n,)."""
    parts = [digests_of(stack.read_original(rows[list(part)])) for part in row_batches(len(rows), BATCH)]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def read_with_digests(
    stack: ParticleStack, places: range | Int[np.ndarray, " b"]
) -> tuple[Float32[np.ndarray, "b box box"], UInt64[np.ndarray, "b k"]]:
    """Return what ``stack.read`` does, (b, box, box), and the digests of these images, (b, k).

    The first digest is of the image on disk; the second, of the image as read, is there where the stack is resized.
    """
    original = stack.read_original(np.asarray(places))
    found = [digests_of(original)]
    images = stack.resample(original)
    if stack.resizing is not None:
        found.append(digests_of(images))
    return images, np.stack(found, axis=1)
