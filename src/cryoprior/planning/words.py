"""The plan in one sentence, and its numbers as text."""

from __future__ import annotations

import math

from cryoprior.planning.expecting import Expected
from cryoprior.planning.plan import Plan

LIMITED = " The pixel size limits it: what is finer than 2 pixels would be lost whatever is kept."
MINUTE, HOUR = 60.0, 3600.0
"""In seconds; a time is given in the largest of them of which it has one."""


def recommendation(plan: Plan) -> str:
    """Return what to keep, in one sentence."""
    chosen, whole = plan.chosen, plan.rows[0]
    if not math.isfinite(whole.expected.angstrom):
        return f"No map is to be expected of {plan.n:,} particles, whatever is kept of them; record more."
    if plan.target is not None and chosen.expected.angstrom > plan.target:
        return (
            f"No candidate reaches {plan.target:g} Å with {plan.n:,} particles; the finest is {chosen.candidate.name}, "
            f"{resolution_text(chosen.expected)} expected; record more particles."
        )
    smaller = whole.bytes_per_particle / chosen.bytes_per_particle
    return (
        f"Keep {chosen.candidate.name}: {chosen.bytes_per_particle:,.0f} bytes a particle, {smaller:.3g} times less "
        f"than whole images of {whole.bytes_per_particle:,.0f}; of {plan.n:,} particles a map of "
        f"{resolution_text(chosen.expected)} is expected, where whole images give {resolution_text(whole.expected)}, "
        f"and moving them takes {hours_text(chosen.hours_to_move)} in place of {hours_text(whole.hours_to_move)}."
        + LIMITED
        * whole.expected.nyquist_limited
    )


def resolution_text(expected: Expected | None) -> str:
    """Return ``8.1 Å (7.9 to 8.4)``."""
    if expected is None:
        return ""
    if not math.isfinite(expected.angstrom):
        return "no map"
    coarsest = f"{expected.coarsest:.1f}" if math.isfinite(expected.coarsest) else "no map"
    mark = "≤ " if expected.nyquist_limited else ""
    return f"{mark}{expected.angstrom:.1f} Å ({expected.finest:.1f} to {coarsest})"


def hours_text(hours: float) -> str:
    """Return a time in hours, in minutes or seconds where it is short."""
    seconds = HOUR * hours
    if seconds >= HOUR:
        return f"{hours:.3g} h"
    return f"{seconds / MINUTE:.2g} min" if seconds >= MINUTE else f"{seconds:.2g} s"
