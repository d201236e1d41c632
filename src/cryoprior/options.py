"""How a stage declares its options: one frozen dataclass whose fields carry help, unit and range.

The command line and its help are made from these fields, so an option is written once.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable
from types import UnionType
from typing import Any, Literal, Union

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
    ``minimum``, ``maximum`` and ``choices`` are checked by :func:`check_options`; a ``Literal`` type names choices too.
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
    hints = typing.get_type_hints(type(options))
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        choices = choices_of(field, hints[field.name])
        for item in value if isinstance(value, tuple) else (value,):
            if item is not None:
                _check(_marked(field), item, choices, field.metadata)


def flag_of(field: dataclasses.Field[Any]) -> str:
    """Return the name by which a user knows the field: its longest flag, or the positional's name."""
    if field.metadata.get("positional"):
        return field.name.upper()
    return max(field.metadata.get("flags") or (), key=len, default="") or f"--{field.name.replace('_', '-')}"


def value_type(hint: Any) -> Any:
    """Return the type of one value: ``Optional``, ``tuple[...]`` and ``list[...]`` are taken off."""
    origin = typing.get_origin(hint)
    if origin in (Union, UnionType):
        return value_type(next(a for a in typing.get_args(hint) if a is not type(None)))
    return value_type(typing.get_args(hint)[0]) if origin in (tuple, list) else hint


def choices_of(field: dataclasses.Field[Any], hint: Any) -> tuple[str, ...]:
    """Return the field's allowed values, from its metadata or its ``Literal`` type; empty where any will do."""
    inner = value_type(hint)
    named = typing.get_args(inner) if typing.get_origin(inner) is Literal else ()
    return tuple(field.metadata.get("choices") or named)


def _marked(field: dataclasses.Field[Any]) -> str:
    """Return the field's name as messages mark it."""
    return f"<{field.name.upper() if field.metadata.get('positional') else field.name}>"


def _check(name: str, value: Any, choices: tuple[str, ...], meta: Any) -> None:
    low, high = meta.get("minimum"), meta.get("maximum")
    if choices and value not in choices:
        raise InputError(f"{name} {value!r}: expected one of {', '.join(map(str, choices))}")
    if low is not None and not value >= low:
        raise InputError(f"{name} {value}: expected at least {low}")
    if high is not None and not value <= high:
        raise InputError(f"{name} {value}: expected at most {high}")
