"""What a text may name: the components of this package, of packages that are installed beside it, and of a notebook.

Another package offers a component by an entry point, in its pyproject.toml:

    [project.entry-points."cryoprior.operators"]
    mosaic = "my_package.mosaic:Mosaic"

The groups are ``cryoprior.operators``, ``.solvers``, ``.metrics``, ``.formats``, ``.encodings`` and
``.commands``. Installed packages
are looked at only when a registry is listed or asked for a name that is not built in, and a package is imported only
when its own component is asked for, or when all are listed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from cryoprior.errors import InputError

Component = TypeVar("Component")
HOMES = {
    "operator": "cryoprior.operators:OPERATORS",
    "solver": "cryoprior.solvers:SOLVERS",
    "metric": "cryoprior.metrics:METRICS",
    "format": "cryoprior.io:FORMATS",
    "encoding": "cryoprior.storage:ENCODINGS",
    "command": "cryoprior.commands:COMMANDS",
}
"""Where the registry of every kind lies; as text, so that only the one that is asked for is imported."""

log = logging.getLogger("cryoprior")


class Registry(Mapping[str, Component], Generic[Component]):
    """Components by name: an explicit dictionary, and what comes from outside.

    Parameters
    ----------
    kind: ``operator``, ``solver``, ``metric``, ``format``, ``encoding`` or ``command``.
    built_in: the components of this package. Their names cannot be taken.
    fault: says what is wrong with a component of that name from outside, in words; empty where nothing is.
    """

    def __init__(
        self, kind: str, built_in: Mapping[str, Component], fault: Callable[[str, Any], str] = lambda name, item: ""
    ) -> None:
        self.kind, self.built_in = kind, dict(built_in)
        self._fault = fault
        self._registered: dict[str, Component] = {}
        self._loaded: dict[str, Component] = {}
        self._broken: set[str] = set()

    def __getitem__(self, name: str) -> Component:
        """Return the component; KeyError for an unknown name, InputError for one whose package is broken."""
        for known in (self.built_in, self._registered, self._loaded):
            if name in known:
                return known[name]
        component = self._loaded[name] = self._load(self._installed[name])
        return component

    def __contains__(self, name: object) -> bool:
        return name in self.built_in or name in self._registered or name in self._installed

    def __iter__(self) -> Iterator[str]:
        """Yield the names: built in, registered, then installed; a warning names each that does not load."""
        yield from self.built_in
        yield from self._registered
        for name in self._installed:
            if name not in self._registered and self._loads(name):
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<{len(self.built_in)} {self.kind}s built in, {len(self) - len(self.built_in)} from outside>"

    def register(self, name: str, component: Component) -> None:
        """Add a component for the life of this process, in place of one that was registered under the name before.

        Raises
        ------
        InputError: the name is taken, or the component is not one of this kind.
        """
        if name in self.built_in:
            raise InputError(f"{self.kind} {name!r}: the name is that of a built-in {self.kind}; choose another")
        if name in self._installed:
            origin = _origin(self._installed[name])
            raise InputError(f"{self.kind} {name!r}: the name is that of an installed one, {origin}; choose another")
        self._registered[name] = self._checked(name, component, f"{self.kind} {name!r}")

    def name_of(self, component: object) -> str:
        """Return the name under which a component stands; InputError for one that does not."""
        for name, known in self.items():
            if known is component:
                return name
        word = getattr(component, "__name__", repr(component))
        raise InputError(
            f"{word}: no registered {self.kind}; expected one of {', '.join(self)}; "
            f"register it: cryoprior.register({self.kind!r}, NAME, {word})"
        )

    @cached_property
    def _installed(self) -> dict[str, EntryPoint]:
        """The entry points of other packages by name, in the order of the names; nothing is imported yet."""
        points = sorted(entry_points(group=f"cryoprior.{self.kind}s"), key=lambda point: (point.name, _origin(point)))
        kept: dict[str, EntryPoint] = {}
        for point in points:
            if point.name in self.built_in:
                log.warning(f"{self.kind} {point.name!r} of {_origin(point)} is left out: the name is built in")
            elif point.name in kept:
                other = _origin(kept[point.name])
                if other != _origin(point):  # a package on the path twice is no second one
                    log.warning(f"{self.kind} {point.name!r} of {_origin(point)} is left out: {other} has the name")
            else:
                kept[point.name] = point
        return kept

    def _loads(self, name: str) -> bool:
        """Return whether an installed component can be had; it is tried, and a warning given, once."""
        if name not in self._broken:
            try:
                self[name]
            except InputError as error:
                self._broken.add(name)
                log.warning(str(error))
        return name not in self._broken

    def _load(self, point: EntryPoint) -> Component:
        where = f"{self.kind} {point.name!r} of {_origin(point)}"
        try:
            component = point.load()
        except Exception as error:  # whatever another package does wrong is its own
            reason = " ".join(str(error).split()) or "no reason given"
            raise InputError(
                f"{where} cannot be loaded: {type(error).__name__}: {reason}; expected {point.value}; "
                "mend or remove the package"
            ) from error
        return self._checked(point.name, component, where)

    def _checked(self, name: str, component: Any, where: str) -> Component:
        fault = self._fault(name, component)
        if fault:
            raise InputError(f"{where}: {fault}")
        checked: Component = component
        return checked


def dataclass_fault(cls: type) -> str:
    """Return in words what keeps a class from being named by a text, ``name:field=value``; empty where nothing does."""
    parameters = getattr(cls, "__dataclass_params__", None)
    frozen = parameters is not None and parameters.frozen and "__dataclass_params__" in vars(cls)
    return "" if frozen else f"{cls.__name__} is no frozen dataclass; decorate it with @dataclass(frozen=True)"


def register(kind: str, name: str, component: Any) -> None:
    """Add a component of one's own for the life of this process, so that texts and commands may name it.

    Parameters
    ----------
    kind: ``operator``, ``solver``, ``metric``, ``format``, ``encoding`` or ``command``.
    name: what texts call it; the extension, with its point, of a format.
    component: as the registry of its kind holds them: see CONTRIBUTING.md.

    Raises
    ------
    InputError: no such kind, a name that is taken, or a component that is not of the kind.
    """
    if kind not in HOMES:
        raise InputError(f"register: no kind {kind!r}; expected one of {', '.join(HOMES)}")
    module, _, name_there = HOMES[kind].partition(":")
    registry: Registry[Any] = getattr(import_module(module), name_there)
    registry.register(name, component)


def _origin(point: EntryPoint) -> str:
    """Return the package and the version that an entry point comes from."""
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value
