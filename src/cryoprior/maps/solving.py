"""Half maps and full map of a source of particles: its sums, and the map that fits them."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from cryoprior.image.regularised import (
    Solution,
    divided,
    noise_to_signal,
    solve_from_coarse,
    unit_gain,
)
from cryoprior.maps.map_set import MapSet
from cryoprior.maps.passes import ParticlePasses, Problem, solve_by_passes
from cryoprior.maps.source import Source
from cryoprior.maps.sums import HalfSums, MapSettings, sum_halves


def solve_maps(source: Source, settings: MapSettings, label: str = "map") -> MapSet:
    """Return the maps of a source: those of both half sets and of all particles, one problem each.

    Signal and noise by shell come from the half sets and hold for all three maps. Where the images mix frequencies, the
    equations in which they do not are where the problem with the operator in it starts.

    Raises
    ------
    InputError: a half set without particles; what reading the source raises.
    """
    sums = sum_halves(source, settings, label)
    problems = _problems(sums)
    if source.mixes and settings.passes:
        solutions = solve_by_passes(ParticlePasses(source, settings), problems, settings.passes, label)
    else:
        solutions = [problem.solution for problem in problems]
    half_1, half_2, full = (_finished(*pair) for pair in zip(problems, solutions, strict=True))
    first, second = (divided(p.equations, p.target).float().cpu() for p in problems[:2])
    return MapSet(
        half_1,
        half_2,
        full,
        sums.counts[0],
        sums.counts[1],
        source.geometry.pixel_size,
        unregularised=(first, second),
        steps=solutions[2].steps,
        residual=solutions[2].residual,
        converged=all(solution.converged for solution in solutions),
    )


def _problems(sums: HalfSums) -> list[Problem]:
    """Return the problems of half 1, half 2 and all particles, solved as if no image mixed frequencies."""
    targets = [half.target() for half in sums.halves]
    equations = [half.equations() for half in sums.halves]
    ridge = noise_to_signal(targets, equations, sums.noise)
    targets.append(targets[0] + targets[1])
    equations.append(equations[0] + equations[1])
    return [
        Problem(one, target, ridge, solve_from_coarse(one, target, ridge))
        for one, target in zip(equations, targets, strict=True)
    ]


def _finished(problem: Problem, solution: Solution) -> Float[Tensor, "d d d"]:
    """Return the map of a solution in the grey scale of the images."""
    return unit_gain(solution.volume, problem.equations, problem.ridge).float().cpu()
