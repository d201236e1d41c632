"""cryoprior: single-particle cryo-EM images from compressed measurements, with a generative prior.

The names below are loaded when they are first used, so that ``import cryoprior`` costs next to nothing.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cryoprior.errors import PYTHON_SPELLING
from cryoprior.version import __version__

if TYPE_CHECKING:
    from cryoprior import image, io, metrics, operators, prior, report, solvers
    from cryoprior.errors import InputError
    from cryoprior.evaluation import Evaluation, evaluate
    from cryoprior.heterogeneity import agreement
    from cryoprior.io import Measurements, ParticleStack, read_measurements, read_particles
    from cryoprior.maps import compare_maps, judge_maps, make_maps
    from cryoprior.measurement import fit_levels, measure, open_measurements
    from cryoprior.models import score_models
    from cryoprior.operators import OPERATORS, Operator, parse_operator
    from cryoprior.prior import Denoiser, MapPrior, Prior, as_prior, draw, load_map_prior, load_prior
    from cryoprior.random import ParticleNoise
    from cryoprior.reconstruction import Reconstruction, reconstruct
    from cryoprior.referee import Audit, audit_maps
    from cryoprior.registry import register
    from cryoprior.report import show, show_curves
    from cryoprior.simulation import simulate
    from cryoprior.solvers import SOLVERS, Solver, parse_solver
    from cryoprior.training import train, train_map


logging.getLogger("cryoprior").addFilter(PYTHON_SPELLING)

_MODULES = ("image", "io", "metrics", "operators", "prior", "report", "solvers")
_NAMES = {
    "Audit": "referee",
    "Denoiser": "prior",
    "Evaluation": "evaluation",
    "InputError": "errors",
    "MapPrior": "prior",
    "Measurements": "io",
    "OPERATORS": "operators",
    "Operator": "operators",
    "ParticleNoise": "random",
    "ParticleStack": "io",
    "Prior": "prior",
    "Reconstruction": "reconstruction",
    "SOLVERS": "solvers",
    "Solver": "solvers",
    "agreement": "heterogeneity",
    "as_prior": "prior",
    "audit_maps": "referee",
    "compare_maps": "maps",
    "draw": "prior",
    "evaluate": "evaluation",
    "fit_levels": "measurement",
    "judge_maps": "maps",
    "load_map_prior": "prior",
    "load_prior": "prior",
    "make_maps": "maps",
    "measure": "measurement",
    "open_measurements": "measurement",
    "parse_operator": "operators",
    "parse_solver": "solvers",
    "read_measurements": "io",
    "read_particles": "io",
    "reconstruct": "reconstruction",
    "register": "registry",
    "score_models": "models",
    "show": "report",
    "show_curves": "report",
    "simulate": "simulation",
    "train": "training",
    "train_map": "training",
}

__all__ = [
    "OPERATORS",
    "SOLVERS",
    "Audit",
    "Denoiser",
    "Evaluation",
    "InputError",
    "MapPrior",
    "Measurements",
    "Operator",
    "ParticleNoise",
    "ParticleStack",
    "Prior",
    "Reconstruction",
    "Solver",
    "__version__",
    "agreement",
    "as_prior",
    "audit_maps",
    "compare_maps",
    "draw",
    "evaluate",
    "fit_levels",
    "image",
    "io",
    "judge_maps",
    "load_map_prior",
    "load_prior",
    "make_maps",
    "measure",
    "metrics",
    "open_measurements",
    "operators",
    "parse_operator",
    "parse_solver",
    "prior",
    "read_measurements",
    "read_particles",
    "reconstruct",
    "register",
    "report",
    "score_models",
    "show",
    "show_curves",
    "simulate",
    "solvers",
    "train",
    "train_map",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"cryoprior.{name}")
    if name in _NAMES:
        return getattr(import_module(f"cryoprior.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'cryoprior' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
