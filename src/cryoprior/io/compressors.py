"""How chunks of a zarr 3 array are compressed: gzip as Python has it, zstd as zarr's own library has it."""

from __future__ import annotations

import gzip
import zlib
from abc import ABC, abstractmethod
from typing import Any

from cryoprior.errors import InputError


class Compressor(ABC):
    """A codec of zarr 3, by its name and configuration in ``zarr.json``."""

    name: str
    configuration: dict[str, Any]

    @abstractmethod
    def compress(self, content: bytes) -> bytes:
        """Return a chunk as it is stored."""

    @abstractmethod
    def decompress(self, stored: bytes, size: int) -> bytes:
        """Return the chunk of ``size`` bytes; ValueError where it is none, before more memory is taken."""

    @property
    def codec(self) -> dict[str, Any]:
        """Return what stands in ``zarr.json``."""
        return {"name": self.name, "configuration": self.configuration}


class Gzip(Compressor):
    """Deflate, level 5; the same chunk is the same bytes."""

    name, configuration = "gzip", {"level": 5}

    def compress(self, content: bytes) -> bytes:
        return gzip.compress(content, self.configuration["level"], mtime=0)

    def decompress(self, stored: bytes, size: int) -> bytes:
        try:
            content = zlib.decompressobj(wbits=31).decompress(stored, size + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        return _of_size(content, size)


class Zstd(Compressor):
    """Zstandard, level 3."""

    name, configuration = "zstd", {"level": 3, "checksum": False}

    def compress(self, content: bytes) -> bytes:
        return bytes(self._codec().encode(content))

    def decompress(self, stored: bytes, size: int) -> bytes:
        codec, content = self._codec(), bytearray(size)
        try:
            codec.decode(stored, content)
        except (RuntimeError, ValueError) as error:
            raise ValueError(" ".join(str(error).split())) from None
        return bytes(content)

    def _codec(self) -> Any:
        try:
            from numcodecs import Zstd as Codec
        except ImportError:
            raise InputError(
                "<compressor> zstd: the package numcodecs is not installed; expected it; install it: pip install "
                "'cryoprior[storage]', or take gzip"
            ) from None
        return Codec(self.configuration["level"])


COMPRESSORS: dict[str, Compressor] = {"gzip": Gzip(), "zstd": Zstd()}
NONE = "none"


def compressor_of(codecs: Any, first: Any) -> tuple[bool, Compressor | None]:
    """Return whether the codecs of an array are ours, ``first`` and at most one compressor, and that one."""
    if codecs == [first]:
        return True, None
    found = next((known for known in COMPRESSORS.values() if codecs == [first, known.codec]), None)
    return found is not None, found


def _of_size(content: bytes, size: int) -> bytes:
    if len(content) != size:
        raise ValueError(f"{len(content)} bytes; expected {size}")
    return content
