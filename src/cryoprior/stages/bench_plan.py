"""What a benchmark file asks for: TOML tables as dataclasses, every key known and every value checked."""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar

from cryoprior.errors import InputError
from cryoprior.operators import parse_operator
from cryoprior.solvers import parse_solver

Plan = TypeVar("Plan")

LEAST_SQUARES = "least squares"
"""The method that needs no naming."""


@dataclass(frozen=True)
class SimulatePlan:
    """What ``cryoprior simulate`` is asked for; see its options."""

    structures: tuple[str, ...]
    n: int
    box: int
    pixel_size: float
    snr: float
    keep_chains: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    b_factor: float = 80.0
    ctf: str | None = None
    noise_like: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class CellPlan:
    """One measurement: the operator, and the series (``pixel``, ``fourier``) whose line it belongs to."""

    name: str
    operator: str
    series: str


@dataclass(frozen=True)
class MethodPlan:
    """One way to reconstruct. particles: only so many of the first ones; all where not given."""

    name: str
    solver: str
    estimate: str | None = None
    particles: int | None = None
    prior: str = "default"


@dataclass(frozen=True)
class PosesPlan:
    """Pose errors of the first ``particles`` in these cells, by these methods beside full particles.

    simulate: particles of their own, where those of the maps are too noisy for any program to find their poses.
    """

    particles: int
    cells: tuple[str, ...]
    methods: tuple[str, ...]
    lowpass: float = 15.0
    healpix_order: int = 2
    simulate: SimulatePlan | None = None


@dataclass(frozen=True)
class MapsPlan:
    """A table of maps: particles (simulated, or a stack with poses), cells, methods.

    star, truth: a stack with poses and, where it is known, its true map; in place of ``simulate``.
    refinements: of maps of sums of pixels, as ``cryoprior map`` has them.
    prior_weights: maps of reconstructions are made with each of these weights of what was not measured.
    pictured: cells whose maps are shown.
    """

    title: str
    cells: tuple[CellPlan, ...]
    methods: tuple[MethodPlan, ...]
    simulate: SimulatePlan | None = None
    star: str | None = None
    truth: str | None = None
    symmetry: str = "C1"
    refinements: int = 2
    prior_weights: tuple[float, ...] = (1.0,)
    pictured: tuple[str, ...] = ()
    poses: PosesPlan | None = None
    seed: int = 0
    folder: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        if (self.simulate is None) == (self.star is None):
            raise InputError("bench: expected either [simulate] or star = ..., the particles to use; give one of them")
        _unique("cells", [cell.name for cell in self.cells])
        _unique("methods", [method.name for method in self.methods])
        for cell in self.cells:
            parse_operator(cell.operator, box=None if self.simulate is None else self.simulate.box)
        for method in self.methods:
            parse_solver(method.solver)
        known = {cell.name for cell in self.cells}
        asked = {*self.pictured, *(self.poses.cells if self.poses else ())}
        wanted = set(self.poses.methods if self.poses else ()) - {LEAST_SQUARES, *(m.name for m in self.methods)}
        if wanted:
            raise InputError(f"bench: poses by unknown methods {_list(wanted)}; name methods of the plan")
        if asked - known:
            raise InputError(f"bench: no cell named {', '.join(sorted(asked - known))}; the cells are {_list(known)}")
        if not all(0 <= weight <= 1 for weight in self.prior_weights):
            raise InputError(f"bench: prior_weights {self.prior_weights}; expected numbers from 0 to 1")

    def path(self, text: str) -> Path:
        """Return a path of the file: absolute, or relative to the folder that the file lies in."""
        return self.folder / text


def read_plan(path: Path) -> MapsPlan:
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
    if kind != "maps":
        raise InputError(f"{path}: table = {kind!r}; expected table = 'maps'")
    return from_table(MapsPlan, {**table, "folder": path.resolve().parent}, str(path))


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
    if not isinstance(value, accepted) or isinstance(value, bool):
        raise InputError(f"{where}: {value!r}; expected {hint.__name__}")
    return hint(value) if hint is float else value


def _expanded(path: Path, text: str) -> str:
    missing = sorted({name for name in re.findall(r"\$\{(\w+)\}", text) if name not in os.environ})
    if missing:
        raise InputError(f"{path}: the environment has no {', '.join(missing)}; set it, or write the path")
    return re.sub(r"\$\{(\w+)\}", lambda match: os.environ[match[1]], text)


def _unique(what: str, names: list[str]) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError(f"bench: {what} named {_list(twice)} more than once; give each a name of its own")


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))
