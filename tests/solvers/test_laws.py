"""What holds for every registered solver."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.measurement.conjugate_gradients import conjugate_gradients
from cryoprior.measurement.intensity import Intensity
from cryoprior.operators import parse_operator
from cryoprior.prior.checkpoint import load_prior
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.random import ParticleNoise
from cryoprior.reconstruction.reconstructor import Reconstructor
from cryoprior.solvers import SOLVERS, Ddnm, DmPlug, Exact, Nesterov, parse_solver
from cryoprior.testing import SOLVER_LAWS
from cryoprior.testing import solvers as laws
from kit.clipped import Clipped

BOX = 16


def quick(name: str) -> Any:
    solver = SOLVERS[name]()
    few = {name: count for name, count in (("steps", 4), ("iterations", 20)) if hasattr(solver, name)}
    return replace(solver, **few)


def solve(solver: Any, operator: Any, particles: list[int], sigma: float = 0.1) -> torch.Tensor:
    prior = GaussianPrior(torch.linspace(3, 0.1, BOX // 2 + 1, dtype=torch.float64).expand(BOX, -1))
    y = torch.stack([torch.randn(operator.m, generator=torch.Generator().manual_seed(p)) for p in particles]).double()
    return solver.solve(y, operator, prior, sigma, ParticleNoise(7, "reconstruct", particles)).x


DERIVATIVES = {"dps", "pigdm", "dmplug"}
SPECIAL = {
    "exact draws": Exact(estimate="sample", steps=3, samples=2),
    "ddnm travelling": Ddnm(steps=5, travel_length=2, travel_repeats=3),
    "dmplug stopping": DmPlug(iterations=30, stop="variance", patience=5, memory=0.5, learning_rate=0.1),
}


@pytest.mark.parametrize("text", laws.OPERATORS)
@pytest.mark.parametrize("law", SOLVER_LAWS)
@pytest.mark.parametrize("name", SOLVERS)
def test_law(name: str, law: str, text: str) -> None:
    SOLVER_LAWS[law](quick(name), parse_operator(text, box=laws.BOX, seed=0))


@pytest.mark.parametrize("name", SPECIAL)
def test_evaluations_are_counted_whatever_the_options(name: str) -> None:
    SOLVER_LAWS["cost"](SPECIAL[name], parse_operator(laws.OPERATORS[0], box=laws.BOX, seed=0))


@pytest.mark.parametrize("text", laws.OPERATORS)
@pytest.mark.parametrize("name", SOLVERS)
def test_what_is_called_a_mean_is_the_posterior_mean(name: str, text: str) -> None:
    solver = quick(name)
    if solver.estimate == "mean":
        laws.posterior_mean(solver, parse_operator(text, box=laws.BOX, seed=0), 0.01)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_network_serves_every_solver_where_gradients_are_off(name: str, tiny_prior: Path) -> None:
    operator, particles = parse_operator("pixel:block=4,masks=6,rows=hadamard", box=32, seed=0), [0, 5]
    prior = load_prior(tiny_prior)
    y = torch.randn(2, operator.m, generator=torch.Generator().manual_seed(0))
    reconstructed = Reconstructor(quick(name), operator, prior, Intensity(0.3, 2.0), 0.1).reconstruct(y, particles)
    x = reconstructed.solution.x
    assert x.shape == (2, 32, 32)
    assert x.dtype == torch.float32
    assert bool(torch.isfinite(x).all())
    assert bool(torch.isfinite(reconstructed.residual).all())
    assert not x.requires_grad
    assert (reconstructed.totals()["backward"] > 0) == (name in DERIVATIVES)


@pytest.mark.parametrize("name", [name for name in SOLVERS if name != "least-squares"])
def test_an_operator_without_matrix_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"is not linear.*least-squares"):
        solve(quick(name), Clipped(box=BOX), [0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exakt", "no solver is called 'exakt'"),
        ("exact:step=3", "no field 'step'"),
        ("exact:estimate=median", "expected one of mean, sample"),
        ("exact:steps=0", "expected at least 1"),
        ("exact:steps=1,chains=2", "one step per chain or more"),
        ("exact:tau_min=3", "in this order"),
        ("exact:descent=1", "expected within 0 and 1"),
        ("posterior:steps=0", "expected at least 1"),
        ("posterior:steps=9", "expected 1 to 8, one for each turn"),
        ("posterior:tau_max=0.01", "in this order"),
        ("posterior:tolerance=2", "expected within 0 and 1"),
        ("nesterov:steps=1001", "expected 1 to 1000"),
        ("nesterov:unit=0", "expected positive"),
        ("dps:steps=1001", "dps: steps=1001; expected 1 to 1000"),
        ("dps:unit=0", "dps: unit=0.0; expected more than 0"),
        ("dps:zeta=-1", "dps: zeta=-1.0; expected 0 or more"),
        ("ddrm:steps=0", "ddrm: steps=0; expected 1 to 1000"),
        ("ddrm:unit=-1", "ddrm: unit=-1.0; expected more than 0"),
        ("ddrm:eta=1.1", "ddrm: eta=1.1, eta_b=1.0; expected within 0 and 1"),
        ("ddrm:eta_b=-0.1", "ddrm: eta=0.85, eta_b=-0.1; expected within 0 and 1"),
        ("ddnm:steps=0", "ddnm: steps=0; expected 1 to 1000"),
        ("ddnm:unit=0", "ddnm: unit=0.0; expected more than 0"),
        ("ddnm:eta=-1", "ddnm: eta=-1.0; expected within 0 and 1"),
        ("ddnm:travel_length=0", "travel_length=0, travel_repeats=1; expected at least 1"),
        ("ddnm:travel_repeats=0", "travel_length=1, travel_repeats=0; expected at least 1"),
        ("diffpir:steps=1001", "diffpir: steps=1001; expected 1 to 1000"),
        ("diffpir:unit=0", "diffpir: unit=0.0; expected more than 0"),
        ("diffpir:lambda_=0", "lambda_=0.0, sigma_floor=0.001; expected more than 0"),
        ("diffpir:sigma_floor=0", "lambda_=7.0, sigma_floor=0.0; expected more than 0"),
        ("diffpir:zeta=2", "diffpir: zeta=2.0; expected within 0 and 1"),
        ("pigdm:steps=0", "pigdm: steps=0; expected 1 to 1000"),
        ("pigdm:unit=0", "pigdm: unit=0.0; expected more than 0"),
        ("pigdm:eta=2", "pigdm: eta=2.0; expected within 0 and 1"),
        ("dmplug:iterations=0", "iterations=0, patience=300; expected at least 1"),
        ("dmplug:patience=0", "iterations=5000, patience=0; expected at least 1"),
        ("dmplug:steps=0", "dmplug: steps=0; expected 1 to 1000"),
        ("dmplug:steps=1001", "dmplug: steps=1001; expected 1 to 1000"),
        ("dmplug:learning_rate=0", "learning_rate=0.0, unit=4.0; expected more than 0"),
        ("dmplug:unit=0", "learning_rate=0.01, unit=0.0; expected more than 0"),
        ("dmplug:beta_1=1", "beta_1=1.0, beta_2=0.999, memory=0.1; expected within 0 and 1"),
        ("dmplug:beta_2=-1", "beta_1=0.9, beta_2=-1.0, memory=0.1; expected within 0 and 1"),
        ("dmplug:memory=1", "beta_1=0.9, beta_2=0.999, memory=1.0; expected within 0 and 1"),
        ("dmplug:stop=early", "expected one of none, variance"),
        ("dps:rows=odd", "expected one of orthonormal, given"),
    ],
)
def test_bad_options_are_named(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_solver(text)


def test_options_have_the_effect_they_name() -> None:
    operator = parse_operator("fourier:compression=2", box=BOX)
    assert solve(Nesterov(clamp=0.5, unit=2.0, steps=3), operator, [0]).abs().max() <= 1.0
    growth = [solve(Nesterov(steps=9, growth=g), operator, [0]) for g in ("progress", "time")]
    assert not torch.allclose(*growth)
    held = Exact(steps=6, chains=1, descent=0.0, mean_tau=2.0)
    assert not torch.allclose(solve(held, operator, [0]), solve(replace(held, descent=0.5), operator, [0]), rtol=1e-12)


def test_conjugate_gradients_stop_particle_by_particle() -> None:
    stream = torch.Generator().manual_seed(0)
    matrix = torch.randn(30, 30, dtype=torch.float64, generator=stream)
    matrix = matrix @ matrix.T + torch.diag(torch.linspace(1, 50, 30, dtype=torch.float64))
    rhs = torch.randn(3, 30, dtype=torch.float64, generator=stream) * torch.tensor([[1.0], [1e3], [0.0]])
    diagonal = matrix.diagonal()[None]
    calls = []

    def apply(w: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return w @ matrix

    w = conjugate_gradients(apply, rhs, lambda r: r / diagonal, tolerance=1e-10, limit=200)
    torch.testing.assert_close(w @ matrix, rhs, rtol=1e-7, atol=1e-7)
    assert len(calls) < 100
    alone = conjugate_gradients(apply, rhs[1:2], lambda r: r / diagonal, tolerance=1e-10, limit=200)
    torch.testing.assert_close(w[1:2], alone)
