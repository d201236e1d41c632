"""Solvers: from measurements to images. One file each; a new one is a file and a line here."""

from __future__ import annotations

from typing import Any

from cryoprior.registry import Registry
from cryoprior.solvers.base import Solution, Solver, fault_of_solver
from cryoprior.solvers.dct import Dct
from cryoprior.solvers.ddnm import Ddnm
from cryoprior.solvers.ddrm import Ddrm
from cryoprior.solvers.diffpir import DiffPir
from cryoprior.solvers.dmplug import DmPlug
from cryoprior.solvers.dps import Dps
from cryoprior.solvers.exact import Exact
from cryoprior.solvers.gaussian import Gaussian
from cryoprior.solvers.least_squares import LeastSquares
from cryoprior.solvers.nesterov import Nesterov
from cryoprior.solvers.pigdm import PiGdm
from cryoprior.solvers.posterior import Posterior
from cryoprior.solvers.total_variation import TotalVariation
from cryoprior.solvers.wavelet import Wavelet
from cryoprior.spec import parse_spec

SOLVERS: Registry[type[Any]] = Registry(
    "solver",
    {
        "least-squares": LeastSquares,
        "total-variation": TotalVariation,
        "wavelet": Wavelet,
        "dct": Dct,
        "gaussian": Gaussian,
        "nesterov": Nesterov,
        "exact": Exact,
        "posterior": Posterior,
        "dps": Dps,
        "ddrm": Ddrm,
        "ddnm": Ddnm,
        "diffpir": DiffPir,
        "pigdm": PiGdm,
        "dmplug": DmPlug,
    },
    fault_of_solver,
)


def parse_solver(text: str) -> Solver:
    """Return the solver that a text names, ``name:field=value,...``; InputError for an unknown name, field or value."""
    solver: Solver = parse_spec(text, SOLVERS)
    return solver


__all__ = [
    "SOLVERS",
    "Dct",
    "Ddnm",
    "Ddrm",
    "DiffPir",
    "DmPlug",
    "Dps",
    "Exact",
    "Gaussian",
    "LeastSquares",
    "Nesterov",
    "PiGdm",
    "Posterior",
    "Solution",
    "Solver",
    "TotalVariation",
    "Wavelet",
    "parse_solver",
]
