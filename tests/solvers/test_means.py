"""What claims to be E[x0 | y] is held against it for a prior that is not Gaussian: templates in noise, in closed form.

With a Gaussian prior every linear estimate is right. Here the unit is how far the best linear one, ``gaussian``, lies
off.
"""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest
import torch

from cryoprior.operators import parse_operator
from cryoprior.random import ParticleNoise
from cryoprior.solvers import SOLVERS, Exact, Gaussian, LeastSquares, Posterior
from kit.mixture import Knowing, distance, make_mixture

OPERATORS = ("pixel:block=4,masks=4,rows=hadamard", "fourier:compression=4")
KNOWN_BIAS = {"gaussian": (1.0, 1.0), "exact": (0.1, 0.8)}
"""Least and largest distance at the defaults of solvers whose mean is not E[x0 | y]; their docstrings say so."""
PARTICLES = 24


def claims_a_mean(kind: type) -> bool:
    return getattr(kind, "estimate", None) == "mean" or "mean" in get_args(get_type_hints(kind).get("estimate"))


MEANS = [name for name, kind in SOLVERS.items() if claims_a_mean(kind)]


def solved(solver: Any, text: str, sigma: float, amplitude: float = 1.0) -> tuple[float, float]:
    """Return how far an estimate is from E[x0 | y], in units of the best linear estimate's distance, and that."""
    prior, operator = make_mixture(amplitude=amplitude), parse_operator(text, box=16, seed=1)
    y = operator.forward(prior.draw(PARTICLES, 3), [0] * PARTICLES)
    stream = torch.Generator().manual_seed(4)
    y = y + sigma * torch.randn(y.shape, generator=stream, dtype=torch.float64)
    mean, signal = prior.posterior(y, operator, sigma)

    def ask(one: Any) -> float:
        knowing = Knowing(prior.templates, prior.noise, signal)
        return distance(one.solve(y, operator, knowing, sigma, ParticleNoise(0, "test", range(PARTICLES))).x, mean)

    unit = ask(Gaussian())
    return ask(solver) / unit, unit


def test_the_solvers_that_claim_a_mean_are_those_that_are_known() -> None:
    assert set(MEANS) == {"exact", "gaussian", "posterior"}


@pytest.mark.parametrize("sigma", [0.0, 0.5])
@pytest.mark.parametrize("text", OPERATORS)
@pytest.mark.parametrize("name", MEANS)
def test_a_mean_is_the_posterior_mean_or_says_that_it_is_not(name: str, text: str, sigma: float) -> None:
    found, unit = solved(SOLVERS[name](), text, sigma)
    assert unit > 0.2
    low, high = KNOWN_BIAS.get(name, (0.0, 0.01))
    assert low - 1e-9 <= found <= high + 1e-9
    if name in KNOWN_BIAS:
        assert "Known bias" in (SOLVERS[name].__doc__ or "")


@pytest.mark.parametrize("text", OPERATORS)
def test_a_best_linear_estimate_is_nearer_than_no_prior(text: str) -> None:
    assert solved(LeastSquares(), text, 0.5)[0] > 1.005


def test_more_evaluations_do_not_take_the_bias_of_exact_away() -> None:
    few, many = (solved(Exact(steps=steps), OPERATORS[0], 0.0)[0] for steps in (24, 100))
    assert 0.1 < many < few


def test_the_oracle_is_right() -> None:
    # Of a denoised image all is known: its posterior mean is what the prior says of it.
    prior, operator = make_mixture(), parse_operator("identity", box=16)
    x, sigma = prior.draw(6, 1), 0.8
    y = operator.forward(x + sigma * prior.draw(6, 2), [0] * 6)
    mean, signal = prior.posterior(y, operator, sigma)
    image, tau = y.reshape(6, 16, 16), torch.full((6,), sigma, dtype=torch.float64)
    torch.testing.assert_close(prior(image, tau), mean, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(prior.signal(image, tau), signal, rtol=1e-6, atol=1e-8)
    knowing = Knowing(prior.templates, prior.noise, signal)
    found = Posterior().solve(y, operator, knowing, sigma, ParticleNoise(0, "test", range(6))).x
    torch.testing.assert_close(found, mean, rtol=1e-6, atol=1e-8)
