"""Names that are imported when they are first used, so that a package costs next to nothing until then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_names(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return a package's ``__getattr__``: it imports the module that defines a name when the name is asked for.

    Parameters
    ----------
    package: ``__name__`` of the package.
    homes: modules below the package, each with the names that it defines; the package itself lists them in
        ``__all__`` and imports them under TYPE_CHECKING.
    """
    home_of = {name: module for module, names in homes.items() for name in names}

    def load(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home_of[name]}"), name)

    return load
