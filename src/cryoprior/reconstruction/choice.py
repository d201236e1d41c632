"""Which solver and which embedded prior go together, where the user leaves it open."""

from __future__ import annotations

import dataclasses

from cryoprior.errors import InputError
from cryoprior.prior import prior_folder, read_config
from cryoprior.solvers import SOLVERS, Solver, parse_solver
from cryoprior.solvers.posterior import TURNS

AUTO = "auto"
SAMPLES_FOR_DEVIATION = 8


def suited_prior(name: str, solver: Solver) -> str:
    """Return which prior a solver asks: ``default`` is the operator-aware one for ``posterior``."""
    return "operator-aware" if name == "default" and isinstance(solver, SOLVERS["posterior"]) else name


def choose_solver(
    text: str, prior: str, *, estimate: str | None, steps: int | None, samples: int | None, deviation: bool
) -> Solver:
    """Return the solver of a text with the values given that override its fields; InputError if it has no such.

    ``auto`` is ``posterior`` for means of a prior that knows operators, at up to eight evaluations, and for all that
    such a prior gives if it was trained on measurements alone; ``exact`` for the rest.
    """
    if text == AUTO:
        config = read_config(prior_folder("operator-aware" if prior == "default" else prior))
        few = estimate != "sample" and (steps or 1) <= TURNS
        text = "posterior" if config.operator_aware and (few or config.means_only) else "exact"
    solver = parse_solver(text)
    fields = {f.name for f in dataclasses.fields(solver)}  # type: ignore[arg-type]
    if deviation and max(samples or 0, getattr(solver, "samples", 1)) < 2:
        samples = SAMPLES_FOR_DEVIATION
    values = {"estimate": None if estimate == solver.estimate else estimate, "steps": steps, "samples": samples}
    given = {name: value for name, value in values.items() if value is not None}
    for name in given:
        if name not in fields:
            raise InputError(
                f"<{name}>: solver {text!r} has none; its fields are {', '.join(sorted(fields)) or 'none'}; "
                "leave the option out, or choose another <solver>"
            )
    return dataclasses.replace(solver, **given)  # type: ignore[type-var]
