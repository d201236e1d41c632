"""Solvers: from measurements to images. One file each; a new one is a file and a line here."""

from __future__ import annotations

from typing import Any

from cryoprior.solvers.base import Solution, Solver
from cryoprior.solvers.exact import Exact
from cryoprior.solvers.gaussian import Gaussian
from cryoprior.solvers.least_squares import LeastSquares
from cryoprior.solvers.nesterov import Nesterov
from cryoprior.solvers.posterior import Posterior
from cryoprior.spec import parse_spec

SOLVERS: dict[str, type[Any]] = {
    "least-squares": LeastSquares,
    "gaussian": Gaussian,
    "nesterov": Nesterov,
    "exact": Exact,
    "posterior": Posterior,
}


def parse_solver(text: str) -> Solver:
    """Return the solver that ``name:field=value,...`` names; InputError for an unknown name, field or value."""
    solver: Solver = parse_spec(text, SOLVERS, "solver")
    return solver


__all__ = [
    "SOLVERS",
    "Exact",
    "Gaussian",
    "LeastSquares",
    "Nesterov",
    "Posterior",
    "Solution",
    "Solver",
    "parse_solver",
]
