"""Signatures of the package checked at run time: the first calls in each test, and of those equal ones once."""

from __future__ import annotations

import dataclasses
import importlib
import sys
import types
from collections.abc import Callable, Hashable
from functools import update_wrapper, wraps
from itertools import islice
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

CHECKED_CALLS = 4
"""Calls of a function that are checked in one test. All would take more than half of the time of the whole suite."""

ITEMS = 8
"""Items of a tuple, list or dictionary that count when two values are compared."""

DEPTH = 5
"""How deep tuples, lists and dictionaries are looked into."""

BEFORE = (
    *("torch", "torch.utils.data", "torch.profiler", "torch_ctf", "torch_fourier_shift", "torch_fourier_slice"),
    *("einops", "pandas", "safetensors.torch"),
    *("scipy.ndimage", "scipy.signal", "scipy.sparse.csgraph", "scipy.spatial.transform"),
)
"""What the package imports as it begins. Under the hook Python looks for the bytecode of all that a module imports by
the hook's own tag, and would compile a thousand files anew."""

_checker = beartype(conf=BeartypeConf(is_pep484_tower=True))  # type: ignore[attr-defined]
_jaxtyped = jaxtyping.jaxtyped


class _Calls:
    """How many calls of a function are still to be checked in this test, and which kinds of values have passed.

    A function inside another is made anew at every call of the outer one: its code tells that it is the same.
    """

    def __init__(self, code: types.CodeType) -> None:
        self.code, self.left = code, CHECKED_CALLS
        self.passed: dict[Hashable, set[Hashable]] = {}
        """Kinds of what came out by the kinds of what went in."""


_CALLS: dict[int, _Calls] = {}
"""By the identity of the code: what ``dataclass`` writes for two classes may be equal."""

_BEGUN: list[_Calls] = []


def install() -> None:
    """Check every signature of the package that is imported from here on; an int is a float too."""
    for name in BEFORE:
        importlib.import_module(name)
    checker = types.ModuleType("signature_checker")
    checker.check = _checker  # type: ignore[attr-defined]
    sys.modules[checker.__name__] = checker  # the hook takes the checker by name
    jaxtyping.jaxtyped = checked  # type: ignore[assignment]  # and decorates by this name
    jaxtyping.install_import_hook("cryoprior", "signature_checker.check")


def renew() -> None:
    """Check every function again, as a test that begins must."""
    for calls in _BEGUN:
        calls.left = CHECKED_CALLS
    _BEGUN.clear()


def checked(function: Any = None, *, typechecker: Any = _checker) -> Any:
    """Return the function with its first calls checked, as a decorator with and without its checker in brackets.

    Of a class it is the ``__init__`` that ``dataclass`` wrote.
    """
    if function is None:
        return lambda given: checked(given, typechecker=typechecker)
    if isinstance(function, type):
        written = vars(function).get("__init__")
        if dataclasses.is_dataclass(function) and written and not hasattr(written, "__wrapped__"):
            function.__init__ = checked(written, typechecker=typechecker)  # type: ignore[misc]
        return function
    if not isinstance(function, types.FunctionType):
        return _jaxtyped(function, typechecker=typechecker)
    return _first_calls_checked(function, typechecker)


def _first_calls_checked(function: types.FunctionType, typechecker: Any) -> Callable[..., Any]:
    calls = _CALLS.setdefault(id(function.__code__), _Calls(function.__code__))
    strict: Callable[..., Any] | None = None

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        nonlocal strict
        if not calls.left:
            return function(*args, **kwargs)
        if calls.left == CHECKED_CALLS:
            _BEGUN.append(calls)
        calls.left -= 1
        given = kind(args), kind(kwargs)
        passed = calls.passed.get(given)
        if passed is not None:
            out = function(*args, **kwargs)
            if kind(out) not in passed:
                _jaxtyped(_answering(function, out), typechecker=typechecker)(*args, **kwargs)
        else:
            if strict is None:  # most functions of a module are not called
                strict = _jaxtyped(function, typechecker=typechecker)
            out = strict(*args, **kwargs)
        calls.passed.setdefault(given, set()).add(kind(out))
        return out

    return guarded


def _answering(function: types.FunctionType, answer: Any) -> types.FunctionType:
    """Return a function of this signature that has its answer already."""

    def answering(*_: Any, **__: Any) -> Any:
        return answer

    # names in annotations are looked up where the function is at home
    at_home = types.FunctionType(answering.__code__, function.__globals__, closure=answering.__closure__)
    update_wrapper(at_home, function)
    return at_home


def kind(value: Any, depth: int = DEPTH) -> Hashable:
    """Return all of a value that a check looks at: type, shape and dtype of an array, of a text the text itself.

    What lies too deep in others is of a kind of its own, so that it is checked each time.
    """
    of = type(value)
    if value is None or of in (str, int, bool) or isinstance(value, type):
        return of, value
    if of in (tuple, list, dict):
        if not depth:
            return object()  # equal to nothing; a walk to the end may take for ever
        inside = list(islice(value.items() if of is dict else value, ITEMS))
        return of, len(value), tuple(kind(item, depth - 1) for item in inside)
    if hasattr(of, "shape") and hasattr(of, "dtype"):  # asked of its type: an object that is being made may not answer
        return of, tuple(value.shape), value.dtype
    return of
