"""Which solver and which prior go together, where the user leaves it open."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_args, get_type_hints

import torch

from cryoprior.errors import InputError
from cryoprior.operators import Operator
from cryoprior.prior import Denoiser, Prior, load_prior, prior_folder, read_config
from cryoprior.prior.denoiser import OperatorAware
from cryoprior.prior.foreign import HUB_NAME, is_foreign
from cryoprior.solvers import SOLVERS, Solver, parse_solver
from cryoprior.solvers.posterior import TURNS

AUTO = "auto"
SAMPLES_FOR_DEVIATION, SAMPLES_FOR_SIGNAL = 8, 4
NOT_TRAINED_ON = "this prior was not trained on such measurements; its answer is an extrapolation"


def asks_operator_aware(solver: Solver) -> bool:
    """Return whether a solver asks its prior about measurements, which only an operator-aware one can answer."""
    return bool(getattr(solver, "needs_operator_aware", False))


def suited_prior(name: str, solver: Solver) -> str:
    """Return which prior a solver asks: ``default`` is the operator-aware one for ``posterior``."""
    return "operator-aware" if name == "default" and asks_operator_aware(solver) else name


def choose_solver(
    solver: str | Solver,
    prior: str | Path | Denoiser,
    *,
    estimate: str | None = None,
    steps: int | None = None,
    samples: int | None = None,
    deviation: bool = False,
) -> Solver:
    """Return the solver, or the one that a text names, with the values given in place of its fields.

    ``auto`` is ``posterior`` for means of a prior that knows operators, at up to eight evaluations, and for all that
    such a prior gives if it was trained on measurements alone; ``exact`` for the rest. A signal comes with its
    deviation, unless ``samples`` is 1.

    Raises
    ------
    InputError: a text that names no solver, a value for a field that the solver does not have, or one out of its range.
    """
    if solver == AUTO:
        aware, means_only = _knows_operators(prior)
        few = estimate != "sample" and (steps or 1) <= TURNS
        solver = "posterior" if aware and (few or means_only) else "exact"
    chosen = parse_solver(solver) if isinstance(solver, str) else solver
    fields = {f.name for f in dataclasses.fields(chosen)}  # type: ignore[arg-type]
    wants_signal = estimate == "signal" or (estimate is None and chosen.estimate == "signal")
    if (deviation or (wants_signal and samples is None)) and max(samples or 0, getattr(chosen, "samples", 1)) < 2:
        samples = SAMPLES_FOR_SIGNAL if wants_signal else SAMPLES_FOR_DEVIATION
    values = {"estimate": None if estimate == chosen.estimate else estimate, "steps": steps, "samples": samples}
    given = {name: value for name, value in values.items() if value is not None}
    for name in given:
        if name not in fields:
            raise InputError(
                f"<{name}>: solver {solver!r} has none; its fields are {', '.join(sorted(fields)) or 'none'}; "
                "leave the option out, or choose another <solver>"
            )
    has = get_args(get_type_hints(type(chosen)).get("estimate"))
    if has and given.get("estimate", has[0]) not in has:
        raise InputError(
            f"<estimate> {estimate!r}: solver {solver!r} has {', '.join(has)}; choose one of them, or another <solver>"
        )
    return dataclasses.replace(chosen, **given)  # type: ignore[type-var]


def choose_signal_solver(
    solver: str | Solver, prior: str | Path | Denoiser, *, steps: int | None = None, samples: int | None = None
) -> Solver:
    """Return the solver of :func:`choose_solver` for a signal; InputError too for one that gives no signal."""
    chosen = parse_solver(solver) if isinstance(solver, str) and solver != AUTO else None
    if chosen is not None and not _has_signal(type(chosen)):
        able = ", ".join(name for name, kind in SOLVERS.items() if _has_signal(kind))
        raise InputError(f"<solver> {solver!r}: gives no signal; expected one of {able}, or auto")
    return choose_solver(solver, prior, estimate="signal", steps=steps, samples=samples)


def _has_signal(kind: type[Any]) -> bool:
    return "signal" in get_args(get_type_hints(kind).get("estimate"))


def open_prior(
    prior: str | Path | Denoiser, solver: Solver, box: int, device: torch.device, measured: str = "y"
) -> Denoiser | None:
    """Return the prior that a solver asks, loaded where it is a name or a folder; None for a solver that needs none.

    Raises
    ------
    InputError: no such prior, or one that does not know the box of what was ``measured``, a name for messages.
    """
    if not solver.needs_prior:
        return None
    opened = load_prior(suited_prior(str(prior), solver), device) if isinstance(prior, str | Path) else prior
    if isinstance(opened, Prior) and opened.boxes and box not in opened.boxes:
        name = f"prior {str(prior)!r}" if isinstance(prior, str | Path) else "the prior"
        raise InputError(
            f"{measured}: images of box {box}; {name} knows {', '.join(map(str, opened.boxes))}; "
            "measure with <box> at one of these, or pass another <prior>"
        )
    return opened


def trained_on_operator(prior: Denoiser | None, solver: Solver, operator: Operator) -> bool | None:
    """Return whether the prior was trained on this kind of operator; None where that does not matter."""
    family = prior.config.family if isinstance(prior, Prior) else None
    if family is None or not asks_operator_aware(solver):
        return None
    return (solver.estimate == "signal" and _is_whole(operator)) or family.knows(operator)


def _is_whole(operator: Operator) -> bool:
    """Return whether what was measured is an image with all its frequencies: noisy images trained every prior."""
    diagonal = operator.fourier_diagonal([0])
    return diagonal is not None and bool((diagonal > 0).all())


def _knows_operators(prior: str | Path | Denoiser) -> tuple[bool, bool]:
    """Return whether a prior can be asked about measurements, and whether it gives means only."""
    if isinstance(prior, str | Path):
        folder = prior_folder("operator-aware" if str(prior) == "default" else prior)
        if is_foreign(folder) or (not folder.is_dir() and HUB_NAME.fullmatch(str(prior))):
            return False, False  # a DDPM of diffusers
        config = read_config(folder)
        return config.operator_aware, config.means_only
    if not isinstance(prior, OperatorAware):
        return False, False
    return prior.operator_aware, prior.operator_aware and prior.means_only
