"""JSON that was stored in a file: one object, of bounded size, and never a traceback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError

LIMIT_BYTES = 256 << 20
"""More than any record of ours: 2 million rows that trained a prior take 16 MB."""

EVERY: Mapping[str, Any] = {}
"""No keys that must be there."""


def read_json(path: Path, expected: str, remedy: str, keys: Mapping[str, Any] = EVERY) -> dict[str, Any]:
    """Return the JSON object in a file.

    Parameters
    ----------
    path: an ordinary file.
    expected: what it should be, and ``remedy``, what to do otherwise: for the message.
    keys: the keys that the caller uses, and the type of each: one or several of str, int, float, dict, list and None.

    Raises
    ------
    InputError: a missing file, one above 256 MiB, no UTF-8, no JSON, or JSON that is no object or nested beyond reason;
        a key that is missing, unless it may be None, or of another type.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected {expected}; {remedy}")
    size = path.stat().st_size
    if size > LIMIT_BYTES:
        raise InputError(f"{path}: {size} bytes; expected {expected}, at most {LIMIT_BYTES}; {remedy}")
    value = parse_json(path, path.read_bytes(), expected, remedy)
    for key, kind in keys.items():
        found = value.get(key)
        if not isinstance(found, kind) or isinstance(found, bool):
            said = f"{key} is {_short(repr(found))}" if key in value else f"no {key}"
            raise InputError(f"{path}: {said}; expected {expected}, as this program writes it; {remedy}")
    return value


def parse_json(path: Path, content: bytes, expected: str, remedy: str) -> dict[str, Any]:
    """Return the JSON object that a file's content holds; see :func:`read_json`."""
    try:
        value = json.loads(content.decode("utf-8"))
    except RecursionError:
        raise InputError(f"{path}: nested too deep to be read; expected {expected}; {remedy}") from None
    except ValueError as error:  # no UTF-8, no JSON, a number of thousands of digits
        raise InputError(f"{path}: not JSON ({_short(error)}); expected {expected}; {remedy}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: a JSON {type(value).__name__}; expected {expected}, one object; {remedy}")
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> bytes:
    """Return the bytes of the JSON text that was written to a new file; NaN and infinity are a ValueError."""
    content = (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()
    path.write_bytes(content)
    return content


def _short(said: Exception | str) -> str:
    return " ".join(str(said).split())[:200]
