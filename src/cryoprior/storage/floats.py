"""Floating-point pixels: 32 bits, 16 bits, and 16 bits in RELION's file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float32 as Single

from cryoprior.errors import InputError
from cryoprior.io import read_particles
from cryoprior.io.mrc_writing import StackWriter
from cryoprior.storage.encoding import Encoding

LARGEST = float(np.finfo(np.float16).max)
PIXEL_SIZE = 1.0
"""Angstrom, of a header that only this room reads."""


@dataclass(frozen=True, kw_only=True)
class Float32(Encoding):
    """Pixels of 32 bits, row by row: what particles are today."""

    def encode(self, images: Single[np.ndarray, "n box box"]) -> bytes:
        """Return the pixels, little-endian."""
        return images.astype("<f4").tobytes()

    def decode(self, content: bytes, n: int, box: int) -> Single[np.ndarray, "n box box"]:
        """Return the pixels."""
        return np.frombuffer(content, "<f4").reshape(n, box, box).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Float16(Encoding):
    """Pixels of 16 bits, 11 of them significant, row by row."""

    def encode(self, images: Single[np.ndarray, "n box box"]) -> bytes:
        """Return the pixels, little-endian; InputError for grey values that float16 cannot hold."""
        check_range(images)
        return images.astype("<f2").tobytes()

    def decode(self, content: bytes, n: int, box: int) -> Single[np.ndarray, "n box box"]:
        """Return the pixels."""
        return np.frombuffer(content, "<f2").reshape(n, box, box).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class RelionFloat16(Encoding):
    """RELION's float16: an MRC stack of mode 12, with the header of 1,024 bytes.

    Source: relion_preprocess --float16, RELION 4.0.
    """

    def encode(self, images: Single[np.ndarray, "n box box"]) -> bytes:
        """Return the content of the stack; InputError for grey values that float16 cannot hold."""
        check_range(images)
        with TemporaryDirectory(prefix="cryoprior-") as folder:
            path = Path(folder) / "images.mrcs"
            with StackWriter(path, len(images), images.shape[-1], PIXEL_SIZE, float16=True) as writer:
                writer.write(images)
            return path.read_bytes()

    def decode(self, content: bytes, n: int, box: int) -> Single[np.ndarray, "n box box"]:
        """Return the images of the stack."""
        with TemporaryDirectory(prefix="cryoprior-") as folder:
            path = Path(folder) / "images.mrcs"
            path.write_bytes(content)
            images = read_particles(path, pixel_size=PIXEL_SIZE).read(slice(None))
        if images.shape != (n, box, box):
            raise ValueError(f"{images.shape} in the stack")
        return np.asarray(images, np.float32)


def check_range(images: Single[np.ndarray, "n box box"]) -> None:
    """Raise InputError for grey values that float16 cannot hold."""
    largest = float(np.abs(images).max(initial=0.0))
    if largest > LARGEST:
        raise InputError(
            f"images to store: a grey value of {largest:.6g}; expected at most {LARGEST:g} for float16; "
            "scale the images first"
        )
