"""The size of an atomic model's file, before a parser takes memory for it."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from cryoprior.errors import InputError

MOST_BYTES = 1 << 30
"""The largest entries of the Protein Data Bank have a quarter of it."""
MOST_RATIO, SMALL_BYTES = 100, 64 << 20
"""How often the size of its gzip a model above 64 MiB may have: coordinates are packed to a fifth."""
BLOCK = 1 << 20


def check_model_size(path: Path) -> None:
    """Raise InputError for a model above 1 GiB, or one that its gzip only pretends to be."""
    packed = path.stat().st_size
    size = _unpacked(path, packed) if path.suffix.lower() == ".gz" else packed
    if size > MOST_BYTES or (size > SMALL_BYTES and size > MOST_RATIO * packed):
        held = f", packed in {packed}" if size != packed else ""
        raise InputError(f"{path}: at least {size} bytes{held}; expected an atomic model; is it the right file?")


def _unpacked(path: Path, packed: int) -> int:
    """Return the size of a gzip's content, as far as it takes to know that it is too large."""
    size, limit = 0, min(MOST_BYTES, max(SMALL_BYTES, MOST_RATIO * packed))
    try:
        with gzip.open(path) as file:
            while size <= limit and (block := file.read(BLOCK)):
                size += len(block)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip ({error}); expected an atomic model; copy it again") from None
    return size
