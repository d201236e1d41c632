"""A .npy file of numpy: its header is held against the bytes of the file before memory is taken for the array."""

from __future__ import annotations

import math
import tokenize
from pathlib import Path
from typing import IO, Any

import numpy as np

from cryoprior.errors import InputError

HEADER_BYTES = 1 << 14
"""Of the head of a .npy file; that of a .cs file with 60 columns has 3,000."""
DAMAGE = (
    *(ValueError, EOFError, OSError, OverflowError, MemoryError, RecursionError, SyntaxError, TypeError),
    *(KeyError, tokenize.TokenError),
)
"""What a head that is no head can raise."""


def read_npy(path: Path, expected: str) -> np.ndarray:
    """Return the array of a .npy file.

    Parameters
    ----------
    path: an ordinary file. expected: what the array should be, for messages.

    Raises
    ------
    InputError: a missing file, no .npy file, an array of Python objects, or fewer bytes than its shape takes.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected {expected}; check the name")
    try:
        with path.open("rb") as file:
            shape, fortran, dtype = _read_header(file)
            if dtype.hasobject:
                raise InputError(f"{path}: an array of Python objects; expected {expected}; save numbers")
            count, held = math.prod(shape), path.stat().st_size - file.tell()
            if min(shape, default=1) < 0 or count * dtype.itemsize > held or dtype.itemsize == 0:
                raise InputError(
                    f"{path}: an array of shape {str(shape)[:80]} and type {str(dtype)[:80]} in {held} bytes; "
                    f"expected {expected}; copy it again"
                )
            array = np.fromfile(file, dtype, count)
    except InputError:
        raise
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: damaged, or no array: {reason}; expected {expected}; copy it again") from None
    return array.reshape(shape, order="F" if fortran else "C")


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file, max_header_size=HEADER_BYTES)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file, max_header_size=HEADER_BYTES)
    raise ValueError(f"format {version[0]}.{version[1]}; expected 1.0 or 2.0")
