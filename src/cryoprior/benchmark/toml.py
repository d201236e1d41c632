"""Benchmark files: TOML tables as dataclasses, every key known and every value checked."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar

from cryoprior.benchmark.images.plan import ImagesPlan
from cryoprior.benchmark.plan import MapsPlan
from cryoprior.errors import InputError
from cryoprior.spec import MOST_COUNT

Plan = TypeVar("Plan")
VARIABLE = re.compile(r"\$\{(\w+)\}")
LIMIT_BYTES = 1 << 20

KINDS: dict[str, type[MapsPlan] | type[ImagesPlan]] = {"maps": MapsPlan, "images": ImagesPlan}


def read_plan(path: Path) -> MapsPlan | ImagesPlan:
    """Return the plan of a TOML file; ``${NAME}`` in it stands for a variable that its ``environment`` lists.

    Raises
    ------
    InputError: a missing file, no TOML, a variable that is not listed or not set, an unknown or missing key, a value of
        the wrong type or out of range.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a benchmark (.toml)")
    if path.stat().st_size > LIMIT_BYTES:
        raise InputError(f"{path}: {path.stat().st_size} bytes; expected a benchmark (.toml); is it the right file?")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise InputError(f"{path}: nested too deep to be read; expected a benchmark (.toml); correct it") from None
    except ValueError as error:  # no TOML, no UTF-8
        raise InputError(f"{path}: not TOML: {error}; correct it") from None
    table = _expanded(path, table, _environment(path, table.pop("environment", [])))
    kind = table.pop("table", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"{path}: table = {kind!r}; expected table = {' or '.join(map(repr, KINDS))}")
    return from_table(KINDS[kind], {**table, "folder": path.resolve().parent}, str(path))


def from_table(kind: type[Plan], table: Mapping[str, Any], where: str) -> Plan:
    """Return a dataclass from a TOML table, its own tables and arrays of tables turned into dataclasses too."""
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise InputError(f"{where}: unknown {', '.join(unknown)}; expected {_list(set(fields) - {'folder'})}")
    required = [n for n, f in fields.items() if f.default is f.default_factory is dataclasses.MISSING]
    missing = [name for name in required if name not in table]
    if missing:
        raise InputError(f"{where}: without {', '.join(missing)}; add them")
    hints = typing.get_type_hints(kind)
    return kind(**{name: _value(hints[name], value, f"{where}, {name}") for name, value in table.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, UnionType):
        return _value(next(a for a in inner if a is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise InputError(f"{where}: {value!r}; expected a list")
        return tuple(_value(inner[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise InputError(f"{where}: {value!r}; expected a table")
        return from_table(hint, value, where)  # type: ignore[arg-type]
    accepted = (int, float) if hint is float else hint
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{where}: {value!r}; expected {hint.__name__}")
    if hint is int and abs(value) > MOST_COUNT and not where.partition(", ")[2].startswith("seed"):
        raise InputError(f"{where}: {str(value)[:80]}; expected at most {MOST_COUNT}")
    if hint is not float:
        return value
    if not abs(value) <= sys.float_info.max:
        raise InputError(f"{where}: {str(value)[:80]}; expected a finite number")
    return float(value)


def _environment(path: Path, names: Any) -> dict[str, str]:
    """Return the variables that a plan lists; no other is read, whoever wrote the plan."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: environment = {str(names)[:80]}; expected a list of the variables that it names")
    missing = sorted({name for name in names if name not in os.environ})
    if missing:
        raise InputError(f"{path}: the environment has no {', '.join(missing)}; set it, or write the path")
    return {name: os.environ[name] for name in names}


def _expanded(path: Path, value: Any, known: Mapping[str, str]) -> Any:
    """Return a value with the variables in its texts replaced; tables and lists are gone through."""
    if isinstance(value, dict):
        return {key: _expanded(path, item, known) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(path, item, known) for item in value]
    if not isinstance(value, str):
        return value
    unlisted = sorted(set(VARIABLE.findall(value)) - set(known))
    if unlisted:
        listed = ", ".join(f'"{name}"' for name in unlisted)
        raise InputError(
            f"{path}: {value[:80]!r} names a variable of the environment that the plan does not list; "
            f"add environment = [{listed}] above its tables, or write the path"
        )
    return VARIABLE.sub(lambda match: known[match[1]], value)


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))
