"""Components as one text, ``name:field=value,...``: the same on the command line, in Python and in file headers."""

from __future__ import annotations

import dataclasses
import math
import typing
from types import UnionType
from typing import Any, Literal, TypeVar, Union

from cryoprior.errors import InputError
from cryoprior.registry import Registry

Component = TypeVar("Component")

MOST_COUNT = 2**24
"""Of anything that a component counts, but a seed: a larger number is a slip or damage, and would take for ever."""
SEPARATOR, MOST_PARTS = "/", 1024
"""Between the values of a field that has several, and the most that it may have."""


def parse_spec(text: str, registry: Registry[type[Component]], **fixed: Any) -> Component:
    """Return the component that ``name:field=value,...`` names.

    Parameters
    ----------
    text: the component, for example ``pixel:block=16,masks=192``.
    registry: dataclasses by name.
    fixed: fields that the text does not give, for example ``box``; the text may not contradict them.

    Raises
    ------
    InputError: unknown name or field, a value of the wrong type, or one that the component refuses.
    """
    name, _, rest = text.strip().partition(":")
    kind = registry.kind
    if name not in registry:
        raise InputError(
            f"{text!r}: no {kind} is called {name!r}; choose one of {', '.join(sorted(registry))}, or install the "
            "package that brings it"
        )
    cls = registry[name]
    hints = typing.get_type_hints(cls)
    allowed = {f.name for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    given: dict[str, Any] = {}
    for part in filter(None, (p.strip() for p in rest.split(","))):
        key, sign, value = part.partition("=")
        if not sign or key not in allowed:
            raise InputError(
                f"{text!r}: {kind} {name!r} has no field {key!r}; its fields are {', '.join(sorted(allowed)) or 'none'}"
            )
        if key in given:
            raise InputError(f"{text!r}: {key} is given twice; give it once")
        given[key] = _convert(text, key, value.strip(), hints[key])
        if key in fixed and fixed[key] is not None and given[key] != fixed[key]:
            raise InputError(f"{text!r}: {key}={given[key]} contradicts {key}={fixed[key]}; leave it out of the text")
    values = {**given, **{key: value for key, value in fixed.items() if key in allowed and value is not None}}
    try:
        return cls(**values)
    except TypeError as error:
        missing = [f.name for f in dataclasses.fields(cls) if _is_required(f) and f.name not in values]  # type: ignore[arg-type]
        if not missing:
            raise
        raise InputError(f"{text!r}: {kind} {name!r} needs {', '.join(missing)}") from error


def format_spec(component: Any, registry: Registry[type[Any]]) -> str:
    """Return the text that :func:`parse_spec` reads back as this component, all fields given.

    Raises
    ------
    InputError: a component whose class is not in the registry.
    """
    name = registry.name_of(type(component))
    fields = [f.name for f in dataclasses.fields(component) if f.init]
    parts = [f"{key}={_text(getattr(component, key))}" for key in fields if getattr(component, key) is not None]
    return f"{name}:{','.join(parts)}" if parts else name


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return SEPARATOR.join(map(_text, value))
    return repr(value) if isinstance(value, float) else str(value)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _convert(text: str, key: str, value: str, hint: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (Union, UnionType):
        if value.lower() == "none" and type(None) in typing.get_args(hint):
            return None
        hint = next(a for a in typing.get_args(hint) if a is not type(None))
        origin = typing.get_origin(hint)
    if origin is Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise InputError(f"{text!r}: {key}={value!r}; expected one of {', '.join(map(str, choices))}")
        return value
    if origin is tuple:
        parts = value.split(SEPARATOR)
        if len(parts) > MOST_PARTS:
            raise InputError(f"{text[:200]!r}: {key} of {len(parts)} values; expected at most {MOST_PARTS}")
        return tuple(_convert(text, key, part.strip(), typing.get_args(hint)[0]) for part in parts)
    if hint is bool:
        if value.lower() not in ("true", "false"):
            raise InputError(f"{text!r}: {key}={value!r}; expected true or false")
        return value.lower() == "true"
    try:
        converted = hint(value)
    except ValueError:
        raise InputError(f"{text[:200]!r}: {key}={value[:80]!r}; expected {hint.__name__}") from None
    if hint is float and not math.isfinite(converted):
        raise InputError(f"{text!r}: {key}={value!r}; expected a finite number")
    if hint is int and key != "seed" and abs(converted) > MOST_COUNT:
        raise InputError(f"{text[:200]!r}: {key}={value[:80]}; expected at most {MOST_COUNT}")
    return converted
