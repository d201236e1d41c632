"""Pickles of numpy arrays, as cryoDRGN writes them, read without running anything they name."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from cryoprior.errors import InputError

_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
_NAMES = {"ndarray", "dtype", "_reconstruct", "scalar", "_frombuffer"}

DAMAGE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError),
    *(MemoryError, OverflowError, SystemError),
)
"""What a damaged pickle can raise; a wrong length asks for any amount of memory."""


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in _MODULES and name in _NAMES:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        if (module, name) == ("_codecs", "encode"):  # how protocol 2 spells the bytes of an array
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no numpy array")


def read_pickle(path: Path | str) -> Any:
    """Return what a pickle holds: numpy arrays, or tuples, lists and dictionaries of them and of plain values.

    Raises
    ------
    InputError: missing file, no pickle, or a pickle that names anything but numpy arrays; it is not run.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a pickle of numpy arrays; check the name")
    try:
        with path.open("rb") as file:
            value = _ArrayUnpickler(file).load()
    except DAMAGE as error:
        raise InputError(
            f"{path}: not a pickle of numpy arrays: {error}; save the arrays alone, for example with pickle.dump"
        ) from error
    for array in value if isinstance(value, tuple | list) else [value]:
        if isinstance(array, np.ndarray) and array.dtype == object:
            raise InputError(f"{path}: an array of Python objects; expected numbers; save the numbers alone")
    return value
