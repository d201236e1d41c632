"""Columns of cryoSPARC that RELION has no name for, carried through a particle table and a star file unharmed.

A column ``blob/sign`` of float32 is labelled ``cryosparc:blob/sign:f4``; one of two numbers a row ``...:f4x2``, as text
``[1.5,2]``; one of texts of 60 bytes ``...:S60``. So the label says all that is needed to write the column again.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from cryoprior.errors import InputError

UID = "cryosparcUid"
"""The particle's uid, an unsigned whole number of 64 bits, as text."""
PREFIX = "cryosparc:"
RELION, RELION_OPTICS = "relion/", "relion_optics/"
"""What RELION's columns without a name in cryoSPARC are called there, of particles and of optics groups."""
_LABEL = re.compile(re.escape(PREFIX) + r"(?P<name>[^\s:]+):(?P<kind>[fiubSU])(?P<size>\d+)(?P<shape>(x\d+)*)")
DIGITS = 10
"""A float32 is known by nine significant digits at most."""
LARGEST = 4096
"""Bytes of the longest value a row that a label may ask for."""


def extra_label(name: str, dtype: np.dtype[Any]) -> str:
    """Return the label under which a column of cryoSPARC stands in a particle table."""
    base, shape = dtype.subdtype or (dtype, ())
    size = base.itemsize // (4 if base.kind == "U" else 1)
    return f"{PREFIX}{name}:{base.kind}{size}{''.join(f'x{length}' for length in shape)}"


def extra_field(label: str) -> tuple[str, np.dtype[Any]] | None:
    """Return the name and the type in cryoSPARC's file of the column with this label; None for other labels."""
    match = _LABEL.fullmatch(str(label))
    if match is None:
        return None
    shape = tuple(int(length) for length in match["shape"].split("x")[1:])
    try:
        base = np.dtype(f"<{match['kind']}{match['size']}")
    except TypeError:
        return None
    dtype = np.dtype((base, shape)) if shape else base
    return (match["name"], dtype) if 0 < dtype.itemsize <= LARGEST else None


def table_values(values: np.ndarray) -> np.ndarray | list[str]:
    """Return a column of cryoSPARC, (n, ...), as numbers or texts, (n,), from which the same bits can be had again."""
    if values.ndim > 1:
        flat = values.reshape(len(values), -1)
        rows = (shortest_decimals(flat) if values.dtype.kind == "f" else flat).tolist()
        return ["[" + ",".join(map(repr, row)) + "]" for row in rows]
    if values.dtype.kind in "SU":
        return [decoded(value) for value in values]
    if values.dtype.kind == "f":
        return shortest_decimals(values)
    return [str(value) for value in values] if values.dtype == np.uint64 else values.astype(np.int64)


def field_values(label: str, column: pd.Series[Any], dtype: np.dtype[Any]) -> np.ndarray:
    """Return the column of cryoSPARC, of the type that its label states, that the values of a particle table stand for.

    Raises
    ------
    InputError: a value that is no such number, or another number of them a row.
    """
    base, shape = dtype.subdtype or (dtype, ())
    try:
        if shape:
            return _vectors(column, base, int(np.prod(shape))).reshape(-1, *shape)
        if base.kind in "SU":
            return np.array(["" if value != value else str(value) for value in column]).astype(base)
        return _numbers(column.to_numpy(), base)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{label}: {error}; expected what cryoSPARC wrote; remove the column") from error


def shortest_decimals(values: np.ndarray) -> np.ndarray:
    """Return float64 values as their shortest decimals say them: 2.7 stored in float32 becomes 2.7."""
    unique, inverse = np.unique(values, return_inverse=True)  # most columns of optics hold few values
    return _decimals(unique)[inverse].reshape(values.shape)


def _decimals(values: np.ndarray) -> np.ndarray:
    exact = values.astype(np.float64)
    if values.dtype.itemsize >= exact.itemsize or values.dtype.kind != "f":
        return exact
    result, left = exact.copy(), np.isfinite(exact) & (exact != 0)
    power = np.zeros(exact.shape, np.int64)
    power[left] = np.floor(np.log10(np.abs(exact[left]))).astype(np.int64)
    for digits in range(1, DIGITS):
        # whole numbers and powers of ten are exact, so their quotient or product is the double nearest to the decimal
        shift = (digits - 1 - power).astype(np.float64)
        up, down = 10.0 ** np.maximum(shift, 0), 10.0 ** np.maximum(-shift, 0)
        rounded = np.round(exact * up / down) * down / up
        with np.errstate(over="ignore"):
            same = left & (rounded.astype(values.dtype) == values) & (up <= 1e22) & (down <= 1e22)
        result[same] = rounded[same]
        left &= ~same
    return result


def decoded(value: Any) -> str:
    """Return a text of cryoSPARC, which stores bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _vectors(column: pd.Series[Any], base: np.dtype[Any], size: int) -> np.ndarray:
    texts = [str(value).strip("[] ") for value in column]
    wrong = next((text for text in texts if text.count(",") != size - 1), None)
    if wrong is not None:
        raise ValueError(f"[{wrong}] holds {wrong.count(',') + 1} values, not {size}")
    return _numbers(np.array(",".join(texts).split(","), object), base)


def _numbers(values: np.ndarray, base: np.dtype[Any]) -> np.ndarray:
    if base.kind == "f":
        return values.astype(np.float64).astype(base)
    if values.dtype.kind in "iu":
        return values.astype(base)
    return np.array([_whole(str(value).strip()) for value in values], base)


def _whole(text: str) -> int:
    return int(text) if text.lstrip("+-").isdigit() else int(float(text))
