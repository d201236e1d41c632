"""Zstandard, by the library that zarr uses."""

from __future__ import annotations

from typing import Any

from cryoprior.errors import InputError


def compressed(content: bytes, level: int) -> bytes:
    """Return content compressed without loss; InputError where the library is not installed."""
    return bytes(_codec(level).encode(content))


def decompressed(content: bytes) -> bytes:
    """Return what was compressed; RuntimeError for anything else."""
    return bytes(_codec(1).decode(content))


def _codec(level: int) -> Any:
    try:
        from numcodecs import Zstd
    except ImportError:
        raise InputError(
            "zstd: the package numcodecs is not installed; expected it for this compression; "
            "install it: pip install 'cryoprior[storage]', or leave zstd out"
        ) from None
    return Zstd(level)
