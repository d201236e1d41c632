"""Benchmark files: TOML tables as dataclasses, every key known and every value checked."""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar

from cryoprior.benchmark.images.plan import ImagesPlan
from cryoprior.benchmark.plan import MapsPlan
from cryoprior.errors import InputError

Plan = TypeVar("Plan")

KINDS: dict[str, type[MapsPlan] | type[ImagesPlan]] = {"maps": MapsPlan, "images": ImagesPlan}


def read_plan(path: Path) -> MapsPlan | ImagesPlan:
    """Return the plan of a TOML file; ``${NAME}`` in it stands for an environment variable.

    Raises
    ------
    InputError: a missing file, no TOML, an unknown or missing key, a value of the wrong type or out of range.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a benchmark (.toml)")
    try:
        table = tomllib.loads(_expanded(path, path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML: {error}; correct it") from None
    kind = table.pop("table", None)
    if kind not in KINDS:
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
    return hint(value) if hint is float else value


def _expanded(path: Path, text: str) -> str:
    missing = sorted({name for name in re.findall(r"\$\{(\w+)\}", text) if name not in os.environ})
    if missing:
        raise InputError(f"{path}: the environment has no {', '.join(missing)}; set it, or write the path")
    return re.sub(r"\$\{(\w+)\}", lambda match: os.environ[match[1]], text)


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))
