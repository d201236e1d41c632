"""The contract of an encoding: images to a file and back, and what the file weighs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from cryoprior.errors import InputError
from cryoprior.registry import dataclass_fault
from cryoprior.storage.zstd import compressed, decompressed

MOST_LEVEL = 22


@dataclass(frozen=True, kw_only=True)
class Encoding(ABC):
    """A way to store a stack of images.

    Parameters
    ----------
    zstd: level at which the file is compressed once more without loss, 1 to 22; None for not at all.

    Raises
    ------
    InputError: a level out of its range.
    """

    zstd: int | None = None

    def __post_init__(self) -> None:
        if self.zstd is not None and not 1 <= self.zstd <= MOST_LEVEL:
            raise InputError(f"encoding: zstd={self.zstd}; expected a level from 1 to {MOST_LEVEL}, or none")

    @abstractmethod
    def encode(self, images: Float32[np.ndarray, "n box box"]) -> bytes:
        """Return the content of a file of these images, before zstd."""

    @abstractmethod
    def decode(self, content: bytes, n: int, box: int) -> Float32[np.ndarray, "n box box"]:
        """Return the n images in the content of a file."""

    def write(self, path: Path, images: Float[np.ndarray, "n box box"]) -> None:
        """Write images to a file."""
        content = self.encode(np.ascontiguousarray(images, np.float32))
        path.write_bytes(content if self.zstd is None else compressed(content, self.zstd))

    def read(self, path: Path, n: int, box: int) -> Float32[np.ndarray, "n box box"]:
        """Return the n images of a file that :meth:`write` wrote.

        Raises
        ------
        InputError: a file that holds something else.
        """
        content = path.read_bytes()
        try:
            return self.decode(content if self.zstd is None else decompressed(content), n, box)
        except (ValueError, EOFError, OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{path}: not {n} images of {box} pixels a side by {type(self).__name__}: {reason}; write it again"
            ) from None


@dataclass(frozen=True, eq=False)
class Stored:
    """Images as they come back from a file, (n, box, box), and the bytes that the file takes on disk by image."""

    images: Float32[np.ndarray, "n box box"]
    bytes_per_particle: float


def stored_images(images: Float[np.ndarray, "n box box"], encoding: Encoding) -> Stored:
    """Return what comes back of images that are stored, and what they take: a file is written, measured and read.

    Raises
    ------
    InputError: values that are not finite; zstd where its library is not installed.
    """
    if not np.isfinite(images).all():
        raise InputError("images to store: values that are not finite; expected numbers; leave these images out")
    with TemporaryDirectory(prefix="cryoprior-") as folder:
        path = Path(folder) / "images"
        encoding.write(path, images)
        size = path.stat().st_size
        return Stored(encoding.read(path, len(images), images.shape[-1]), size / len(images))


def fault_of_encoding(name: str, item: Any) -> str:
    """Return in words what keeps an object from being an encoding; empty where nothing does."""
    if not (isinstance(item, type) and issubclass(item, Encoding)):
        given = item.__name__ if isinstance(item, type) else type(item).__name__
        return f"found {given}; expected a class derived from cryoprior.storage.Encoding"
    return dataclass_fault(item)
