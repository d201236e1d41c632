"""Pickles of numpy arrays, as cryoDRGN writes them: read without running what they name, in the memory of the file.

A pickle is a program. Before it runs, its instructions are looked through: no dictionary, set or object, no place in
its memo beyond its length, no text longer than the file. What it may name are the makers of numpy arrays, and these
are ours: an array takes no more bytes than the file holds for it.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cryoprior.errors import InputError

MOST_BYTES = 16 << 30
"""Of a pickle that is read at all: it is held in memory."""
_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
_OPCODES = {
    *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "DUP"),
    *("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
    *("FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "LIST", "APPEND", "APPENDS"),
    *("GET", "BINGET", "LONG_BINGET", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"),
    *("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
}
"""What a pickle of arrays is made of."""
_OF_TREES = {"EMPTY_DICT", "DICT", "SETITEM", "SETITEMS"}
_OTHERS = {"EMPTY_DICT": "a dict", "DICT": "a dict", "EMPTY_SET": "a set", "FROZENSET": "a set"}
_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")

DAMAGE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError),
    *(MemoryError, OverflowError, SystemError, RecursionError),
)
"""What a damaged pickle can raise."""


def read_pickle(path: Path | str, *, trees: bool = False) -> Any:
    """Return what a pickle holds: a numpy array of numbers, a number, or a tuple or list of such.

    Parameters
    ----------
    trees: allow dictionaries of such, and of dictionaries; for files whose checksum is known.

    Raises
    ------
    InputError: missing file, no pickle, or a pickle that holds or names anything but arrays of numbers; it is not run.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a pickle of numpy arrays; check the name")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise InputError(f"{path}: {size} bytes; expected a pickle of numpy arrays; is it the right file?")
    content = path.read_bytes()
    try:
        _look_through(content, _OPCODES | _OF_TREES if trees else _OPCODES)
        value = _ArrayUnpickler(io.BytesIO(content)).load()
        return _tree(value) if trees else _plain(value)
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{path}: not a pickle of numpy arrays: {reason}; save the arrays alone, for example with pickle.dump"
        ) from None


def _look_through(content: bytes, allowed: set[str]) -> None:
    """Raise UnpicklingError for instructions that arrays do not need, or that take more memory than the file has."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if opcode.name not in allowed:
            found = _OTHERS.get(opcode.name, f"more than arrays ({opcode.name.lower()})")
            raise pickle.UnpicklingError(f"it holds {found}; expected arrays, or a list or tuple of them")
        if opcode.name in _PUTS and int(argument or 0) > count:
            raise pickle.UnpicklingError(f"it keeps a value at place {argument} after {count} instructions")


class _Type:
    """A type of numbers in the making: numpy gives its byte order as a state."""

    def __init__(self, text: Any, align: Any = False, copy: Any = False) -> None:
        if not isinstance(text, str) or len(text) > 8:
            raise pickle.UnpicklingError(f"an array of type {str(text)[:40]}; expected numbers")
        self.dtype = np.dtype(text)
        if self.dtype.kind not in "biuf":
            kind = "Python objects" if self.dtype.kind == "O" else f"type {self.dtype}"
            raise pickle.UnpicklingError(f"an array of {kind}; expected numbers")

    def __setstate__(self, state: Any) -> None:
        self.dtype = self.dtype.newbyteorder(">" if state[1] == ">" else "<")


class _Array:
    """An array in the making: numpy gives shape, type and bytes as a state."""

    value: np.ndarray | None = None
    is_number = False

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, content = state
        self.value = _filled(content, kind, shape, "F" if fortran else "C")


class _ArrayClass:
    """Stands for numpy.ndarray, which a pickle names and may not call."""


def _filled(content: Any, kind: Any, shape: Any, order: str) -> np.ndarray:
    """Return an array of these bytes; an error unless they are as many as type and shape take."""
    if not isinstance(kind, _Type):
        raise pickle.UnpicklingError("an array without a type of numbers")
    if isinstance(content, str):  # how protocol 0 and 1 spell bytes
        content = content.encode("latin-1")
    sides = shape if isinstance(shape, tuple) else (shape,)
    if not all(type(side) is int and side >= 0 for side in sides) or len(sides) > 8:
        raise pickle.UnpicklingError(f"an array of shape {str(shape)[:80]}")
    if not isinstance(content, bytes | bytearray) or len(content) != math.prod(sides) * kind.dtype.itemsize:
        raise pickle.UnpicklingError(f"an array of shape {str(shape)[:80]} that has not the bytes for it")
    order = order if order in ("C", "F") else "C"
    filled: np.ndarray = np.frombuffer(bytes(content), kind.dtype).reshape(sides, order=order)  # type: ignore[call-overload]
    return filled.astype(kind.dtype.newbyteorder("="), order="K")


def _reconstruct(cls: Any, shape: Any, text: Any) -> _Array:
    """Stand for numpy's function of this name, which takes memory for any shape."""
    return _Array()


def _frombuffer(content: Any, kind: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.value = _filled(content, kind, shape, str(order))
    return array


def _scalar(kind: Any, content: Any) -> _Array:
    array = _Array()
    array.value, array.is_number = _filled(content, kind, (), "C"), True
    return array


def _encode(text: Any, encoding: Any) -> bytes:
    """Return the bytes that protocol 2 spells as a text in latin-1; no other encoding is run."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError(f"a text in {str(encoding)[:40]}; expected latin1")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    return b""


_MAKERS: dict[str, Callable[..., Any]] = {
    "ndarray": _ArrayClass,
    "dtype": _Type,
    "_reconstruct": _reconstruct,
    "scalar": _scalar,
    "_frombuffer": _frombuffer,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in _MODULES and name in _MAKERS:
            return _MAKERS[name]
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if module in ("builtins", "__builtin__") and name == "bytes":  # how protocol 2 spells the bytes of no number
            return _no_bytes
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no numpy array")


def _tree(value: Any) -> Any:
    """Return what was made, dictionaries by text in it."""
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _tree(item) for key, item in value.items()}
    return _plain(value)


def _plain(value: Any) -> Any:
    """Return what was made: arrays and numbers, or one list or tuple of them."""
    if isinstance(value, list | tuple):
        return type(value)(_single(item) for item in value)
    return _single(value)


def _single(value: Any) -> Any:
    if isinstance(value, _Array) and value.value is not None:
        return value.value[()] if value.is_number else value.value
    if isinstance(value, bool | int | float):
        return value
    kind = "None" if value is None else f"a {type(value).__name__.strip('_').lower()}"
    raise pickle.UnpicklingError(f"it holds {kind}; expected arrays, or a list or tuple of them")
