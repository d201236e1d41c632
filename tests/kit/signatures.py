"""Signatures of the package checked at run time: of every function its first calls in each test, as checks are dear."""

from __future__ import annotations

import sys
import types
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

CHECKED_CALLS = 4
"""Calls of a function that are checked in one test. All would take more than half of the time of the whole suite."""

_CALLS: Counter[Callable[..., Any]] = Counter()
_checker = beartype(conf=BeartypeConf(is_pep484_tower=True))  # type: ignore[attr-defined]
_jaxtyped = jaxtyping.jaxtyped


def install() -> None:
    """Check every signature of the package that is imported from here on; an int is a float too."""
    checker = types.ModuleType("signature_checker")
    checker.check = _checker  # type: ignore[attr-defined]
    sys.modules[checker.__name__] = checker  # the hook takes the checker by name
    jaxtyping.jaxtyped = checked  # type: ignore[assignment]  # and decorates by this name
    jaxtyping.install_import_hook("cryoprior", "signature_checker.check")


def renew() -> None:
    """Check every function again, as a test that begins must."""
    for function in _CALLS:
        function.__no_type_check__ = False  # type: ignore[attr-defined]
    _CALLS.clear()


def checked(function: Any = None, *, typechecker: Any = _checker) -> Any:
    """Return the function with its first calls checked, as a decorator with and without its checker in brackets."""
    if function is None:
        return lambda given: checked(given, typechecker=typechecker)
    if not isinstance(function, types.FunctionType):
        return _jaxtyped(function, typechecker=typechecker)
    return _jaxtyped(function, typechecker=lambda signature: _counted(function, typechecker(signature)))


def _counted(function: Callable[..., Any], check: Callable[..., Any]) -> Callable[..., Any]:
    """Return the check of a function's signature, which turns itself off after CHECKED_CALLS."""

    @wraps(check)
    def counted(*args: Any, **kwargs: Any) -> Any:
        _CALLS[function] += 1
        if _CALLS[function] >= 2 * CHECKED_CALLS:  # what goes in and what comes out are checked one by one
            function.__no_type_check__ = True  # type: ignore[attr-defined]
        return check(*args, **kwargs)

    return counted
