"""The laws of a solver, tried with a Gaussian prior, whose posterior is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.spectrum import apply_filter
from cryoprior.operators import Operator, parse_operator
from cryoprior.prior.denoiser import MeteredDenoiser
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.random import ParticleNoise
from cryoprior.solvers import SOLVERS, Solution, Solver, parse_solver
from cryoprior.spec import format_spec
from cryoprior.testing.closeness import normal, require, require_equal

BOX, SIGMA = 16, 0.1
PARTICLES = [4, 0, 8]
OPERATORS = ("pixel:block=4,masks=6,rows=hadamard,sets=3", "fourier:compression=3,sets=3")
ESTIMATES = ("mean", "sample", "signal", "least-squares", "sparse")
SAME = 1e-9
"""Relative difference within which two runs in float64 are the same."""

Law = Callable[[Solver, Operator], None]


def check_solver(solver: Solver, *, operators: Sequence[str] = OPERATORS, mean_within: float | None = 0.01) -> None:
    """Raise AssertionError for the first law that a solver breaks.

    Parameters
    ----------
    solver: with few steps, which is quick; the laws hold for any number.
    operators: texts, without a box, of the operators that it is tried with.
    mean_within: how far, as a share, what it calls a mean may lie from the posterior mean of a Gaussian prior; None
        for a solver that is known to be biased there, and whose own test states by how much.
    """
    for operator in [parse_operator(text, box=BOX, seed=0) for text in operators]:
        for law in SOLVER_LAWS.values():
            law(solver, operator)
        if mean_within is not None and solver.estimate == "mean":
            posterior_mean(solver, operator, mean_within)


def gaussian_prior() -> GaussianPrior:
    """Return a prior whose power falls from shell to shell."""
    return GaussianPrior(torch.linspace(3, 0.1, BOX // 2 + 1, dtype=torch.float64).expand(BOX, -1))


def solved(
    solver: Solver,
    operator: Operator,
    particles: Sequence[int] = PARTICLES,
    *,
    prior: MeteredDenoiser | GaussianPrior | None = None,
    dtype: torch.dtype = torch.float64,
) -> Solution:
    """Return what a solver makes of measurements that each particle always has."""
    y = torch.stack([normal(operator.m, seed=particle, dtype=dtype) for particle in particles])
    return solver.solve(y, operator, prior or gaussian_prior(), SIGMA, ParticleNoise(7, "reconstruct", particles))


def shape(solver: Solver, operator: Operator) -> None:
    """The images are (b, box, box), finite, of the type of y; so is a deviation, which is nowhere negative."""
    for dtype in (torch.float64, torch.float32):
        solution = solved(solver, operator, dtype=dtype)
        expected = ((len(PARTICLES), BOX, BOX), dtype)
        for image in [solution.x, *([] if solution.deviation is None else [solution.deviation])]:
            what = (tuple(image.shape), image.dtype)
            require(what == expected, "shape: (b, box, box) of the type of y", f"{what}, expected {expected}")
            require(bool(image.isfinite().all()), "shape: every pixel is finite", "NaN or infinity")
        if solution.deviation is not None:
            low = float(solution.deviation.min())
            require(low >= 0, "shape: a deviation is nowhere negative", low)


def determinism(solver: Solver, operator: Operator) -> None:
    """The same measurements with the same noise give the same images."""
    first, second = solved(solver, operator).x, solved(solver, operator).x
    require_equal(second, first, "determinism: twice the same", tolerance=SAME)


def batch(solver: Solver, operator: Operator) -> None:
    """A particle's image is the same alone, in any batch and in any order."""
    together = solved(solver, operator).x
    backwards = solved(solver, operator, PARTICLES[::-1]).x.flip(0)
    require_equal(backwards, together, "batch: an image does not depend on the order", tolerance=SAME)
    alone = torch.cat([solved(solver, operator, [particle]).x for particle in PARTICLES])
    require_equal(alone, together, "batch: an image does not depend on its batch mates", tolerance=SAME)


def cost(solver: Solver, operator: Operator) -> None:
    """The evaluations of a solution are those that were made, forward and backward."""
    prior = MeteredDenoiser(gaussian_prior())
    solution = solved(solver, operator, PARTICLES[:1], prior=prior)
    made, said = (prior.calls, prior.backward_calls), (solution.evaluations, solution.backward)
    require(made == said, "cost: the evaluations that are reported were made", f"{said} reported, {made} made")


def without_prior(solver: Solver, operator: Operator) -> None:
    """A solver that needs no prior does without one, and asks none."""
    if solver.needs_prior:
        return
    y = torch.stack([normal(operator.m, seed=particle) for particle in PARTICLES])
    solution = solver.solve(y, operator, None, SIGMA, ParticleNoise(7, "reconstruct", PARTICLES))
    require_equal(solution.x, solved(solver, operator).x, "without a prior: the images are the same", tolerance=SAME)
    require(solution.evaluations == 0, "without a prior: no evaluation", solution.evaluations)


def words(solver: Solver, operator: Operator) -> None:
    """It says what its images are, and its text reads back as the same solver."""
    require(solver.estimate in ESTIMATES, f"words: estimate is one of {', '.join(ESTIMATES)}", solver.estimate)
    try:
        again = parse_solver(format_spec(solver, SOLVERS))
    except InputError as error:
        raise AssertionError(f"words: its text reads back as the solver: found {error}") from error
    require(again == solver, "words: its text reads back as the solver", again)


def posterior_mean(solver: Solver, operator: Operator, within: float) -> None:
    """What it calls a mean is the posterior mean, which is known for a Gaussian prior."""
    particles = PARTICLES[:1]
    y = torch.stack([normal(operator.m, seed=particle) for particle in particles])
    expected = known_mean(operator, y, particles[0])
    mean = solved(solver, operator, particles).x
    require_equal(mean, expected, "posterior mean: that of a Gaussian prior", tolerance=within)


def known_mean(operator: Operator, y: Float[Tensor, "1 m"], particle: int) -> Float[Tensor, "1 box box"]:
    """Return P A^T (A P A^T + sigma^2 I)^-1 y by dense matrices."""
    basis = torch.eye(operator.n, dtype=torch.float64).reshape(-1, operator.box, operator.box)
    a = operator.forward(basis, [particle] * operator.n).T
    pa = apply_filter(basis, gaussian_prior().power).reshape(operator.n, -1) @ a.T
    system = a @ pa + SIGMA**2 * torch.eye(operator.m, dtype=torch.float64)
    mean: Tensor = (pa @ torch.linalg.solve(system, y.T)).T.reshape(-1, operator.box, operator.box)
    return mean


SOLVER_LAWS: dict[str, Law] = {
    "shape": shape,
    "determinism": determinism,
    "batch": batch,
    "cost": cost,
    "without a prior": without_prior,
    "words": words,
}
