"""What is asked of an object before it serves as an operator, and of an operator before a solver takes it."""

from __future__ import annotations

from typing import Any

from cryoprior.errors import InputError
from cryoprior.operators.base import Operator
from cryoprior.registry import dataclass_fault


def fault_of_operator(name: str, item: Any) -> str:
    """Return in words what keeps an object from being an operator; empty where nothing does."""
    if not (isinstance(item, type) and issubclass(item, Operator)):
        given = item.__name__ if isinstance(item, type) else type(item).__name__
        return f"found {given}; expected a class derived from cryoprior.operators.Operator"
    return dataclass_fault(item)


def require_linear(operator: Operator, solver: str) -> None:
    """Raise InputError for an operator that is not a matrix."""
    if not operator.linear:
        raise InputError(
            f"solver {solver!r}: the operator {operator.name!r} is not linear; "
            "expected a matrix; use <solver=least-squares>"
        )
