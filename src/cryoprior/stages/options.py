"""How a stage declares its options: one frozen dataclass whose fields carry help, unit and range.

The command line, the README of a run and ``--help`` are made from these fields, so an option is written once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from cryoprior.errors import InputError

REQUIRED: Any = dataclasses.MISSING


def argument(help: str, default: Any = REQUIRED, *, many: bool = False) -> Any:
    """Return a dataclass field that is a positional argument; ``many`` takes one or more values (a tuple)."""
    metadata = {"help": help, "positional": True, "many": many}
    return dataclasses.field(default=default, metadata=metadata)


def option(
    help: str,
    default: Any = REQUIRED,
    *,
    flags: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Iterable[str] = (),
    repeat: bool = False,
) -> Any:
    """Return a dataclass field that is a named option.

    ``flags`` defaults to ``--field-name``; ``-o`` and its like are named there. ``repeat`` collects a tuple of values.
    ``minimum``, ``maximum`` and ``choices`` are checked by :func:`check_options`.
    """
    metadata = {
        "help": help,
        "flags": flags,
        "minimum": minimum,
        "maximum": maximum,
        "choices": tuple(choices),
        "repeat": repeat,
    }
    return dataclasses.field(default=default, metadata=metadata)


def check_options(options: Any) -> None:
    """Raise InputError for the first field out of its range or not among its choices; call it in ``__post_init__``."""
    for field in dataclasses.fields(options):
        value, meta = getattr(options, field.name), field.metadata
        for item in value if isinstance(value, tuple) else (value,):
            if item is not None:
                _check(flag_of(field), item, meta)


def flag_of(field: dataclasses.Field[Any]) -> str:
    """Return the name by which a user knows the field: its longest flag, or the positional's name."""
    if field.metadata.get("positional"):
        return field.name.upper()
    return max(field.metadata.get("flags") or (), key=len, default="") or f"--{field.name.replace('_', '-')}"


def _check(name: str, value: Any, meta: Any) -> None:
    choices, low, high = meta.get("choices"), meta.get("minimum"), meta.get("maximum")
    if choices and value not in choices:
        raise InputError(f"{name} {value!r}: expected one of {', '.join(choices)}")
    if low is not None and value < low:
        raise InputError(f"{name} {value}: expected at least {low}")
    if high is not None and value > high:
        raise InputError(f"{name} {value}: expected at most {high}")
