"""Every law of a solver fails on a solver that breaks it, and says which law it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from cryoprior.operators import Operator, parse_operator
from cryoprior.random import ParticleNoise
from cryoprior.solvers import SOLVERS, Solution
from cryoprior.testing import SOLVER_LAWS, check_solver
from cryoprior.testing.solvers import BOX, OPERATORS


@dataclass(frozen=True)
class Plain:
    """Least squares: what the others spoil."""

    estimate: str = "least-squares"
    needs_prior: ClassVar[bool] = False

    def solve(self, y: Tensor, operator: Operator, prior: Any, sigma: float, noise: ParticleNoise) -> Solution:
        x = operator.pinv(y, noise.particles)
        return self.spoiled(x, prior)

    def spoiled(self, x: Tensor, prior: Any) -> Solution:
        return Solution(x, 0)


class InDouble(Plain):
    def spoiled(self, x: Tensor, prior: Any) -> Solution:
        return Solution(x.double(), 0)


class NotFinite(Plain):
    def spoiled(self, x: Tensor, prior: Any) -> Solution:
        return Solution(x / 0, 0)


class BelowZero(Plain):
    def spoiled(self, x: Tensor, prior: Any) -> Solution:
        return Solution(x, 0, deviation=x)


class Random(Plain):
    def spoiled(self, x: Tensor, prior: Any) -> Solution:
        return Solution(x + 1e-3 * torch.rand_like(x), 0)


class Centred(Plain):
    def spoiled(self, x: Tensor, prior: Any) -> Solution:
        return Solution(x - x.mean(0), 0)


class Ordered(Plain):
    def spoiled(self, x: Tensor, prior: Any) -> Solution:
        return Solution(x + torch.arange(len(x), dtype=x.dtype)[:, None, None], 0)


class Boastful(Plain):
    needs_prior: ClassVar[bool] = True

    def spoiled(self, x: Tensor, prior: Any) -> Solution:
        return Solution(prior(x, x.new_ones(len(x))), 0)


class Secretive(Plain):
    def spoiled(self, x: Tensor, prior: Any) -> Solution:
        return Solution(x if prior is None else 2 * x, 0)


class Costly(Plain):
    def spoiled(self, x: Tensor, prior: Any) -> Solution:
        return Solution(x, 3)


@dataclass(frozen=True)
class Wordless(Plain):
    estimate: str = "best"


@dataclass(frozen=True)
class Forgetful(Plain):
    steps: int = field(default=3, compare=False)
    seen: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "seen", self.seen + 1)


BROKEN = [
    ("shape", InDouble, "shape: (b, box, box) of the type of y"),
    ("shape", NotFinite, "shape: every pixel is finite"),
    ("shape", BelowZero, "shape: a deviation is nowhere negative"),
    ("determinism", Random, "determinism: twice the same"),
    ("batch", Ordered, "batch: an image does not depend on the order"),
    ("batch", Centred, "batch: an image does not depend on its batch mates"),
    ("cost", Boastful, "cost: the evaluations that are reported were made: found (0, 0) reported, (1, 0) made"),
    ("without a prior", Secretive, "without a prior: the images are the same"),
    ("without a prior", Costly, "without a prior: no evaluation"),
    ("words", Wordless, "words: estimate is one of mean, sample, signal, least-squares, sparse"),
    ("words", Forgetful, "words: its text reads back as the solver"),
]


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    for cls in (Plain, *(cls for _, cls, _ in BROKEN)):
        SOLVERS._registered[cls.__name__] = cls
    yield
    SOLVERS._registered.clear()


def test_every_law_is_broken_here() -> None:
    assert {law for law, *_ in BROKEN} == set(SOLVER_LAWS)


@pytest.mark.parametrize(("law", "cls", "words"), BROKEN, ids=lambda part: getattr(part, "__name__", None))
def test_the_law_fails_on_a_solver_that_breaks_it(law: str, cls: type[Plain], words: str) -> None:
    with pytest.raises(AssertionError) as failed:
        SOLVER_LAWS[law](cls(), parse_operator(OPERATORS[0], box=BOX, seed=0))
    assert str(failed.value).startswith(words), failed.value
    with pytest.raises(AssertionError):
        check_solver(cls())


def test_a_mean_that_is_none_is_found_out_unless_it_is_known() -> None:
    check_solver(Plain())
    with pytest.raises(AssertionError, match="posterior mean: that of a Gaussian prior: found a relative difference"):
        check_solver(Plain(estimate="mean"))
    check_solver(Plain(estimate="mean"), mean_within=None)


def test_a_solver_without_a_name_is_told_how_to_get_one() -> None:
    SOLVERS._registered.clear()
    with pytest.raises(AssertionError, match=r"words: its text reads back .* Plain: no registered solver"):
        check_solver(Plain())
