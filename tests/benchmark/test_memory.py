"""The peak memory of a solver: what its tensors take at once, and how long it is watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from cryoprior.benchmark.images.memory import EVALUATIONS, CountingDenoiser, EnoughSeenError, peak_megabytes
from cryoprior.measurement.intensity import Intensity
from cryoprior.operators import Operator, parse_operator
from cryoprior.prior import GaussianPrior
from cryoprior.prior.denoiser import Denoiser
from cryoprior.random import ParticleNoise
from cryoprior.reconstruction.reconstructor import Reconstructor
from cryoprior.solvers import Solution, parse_solver

MIB = 2**20
BOX, B = 32, 4


class GreedyDenoiser(GaussianPrior):
    """A denoiser that holds some MiB during each evaluation and lets them go; it counts its evaluations."""

    def __init__(self, mebibytes: float) -> None:
        super().__init__(torch.ones(BOX, BOX // 2 + 1))
        self.numbers, self.seen = int(mebibytes * MIB / 4), 0

    def __call__(self, x: Tensor, tau: Tensor) -> Tensor:
        self.seen += 1
        held = torch.ones(self.numbers)
        return x * held[0]


@dataclass(frozen=True)
class Chain:
    """A solver of so many evaluations; at the one numbered ``large`` it holds some MiB itself."""

    steps: int
    large: int = -1
    mebibytes: float = 0.0
    estimate: ClassVar[str] = "sample"
    needs_prior: ClassVar[bool] = True

    def solve(self, y: Tensor, operator: Operator, prior: Denoiser, sigma: float, noise: ParticleNoise) -> Solution:
        x = y.new_ones(len(y), operator.box, operator.box)
        for step in range(self.steps):
            held = y.new_empty(int(self.mebibytes * MIB / 4)) if step == self.large else None
            x = prior(x, x.new_ones(len(x)))
            del held
        return Solution(x, evaluations=self.steps)


def peak(solver: object, denoiser: Denoiser | None) -> float:
    operator = parse_operator("pixel:block=4,masks=4", box=BOX)
    y = torch.randn(B, operator.m, generator=torch.Generator().manual_seed(0))
    intensity = None if denoiser is None else Intensity(0.0, 1.0)
    return peak_megabytes(Reconstructor(solver, operator, denoiser, intensity, 0.0), y, list(range(B)))  # type: ignore[arg-type]


@pytest.mark.parametrize("mebibytes", [20, 50])
def test_what_a_denoiser_takes_is_reported(mebibytes: float) -> None:
    assert peak(Chain(3), GreedyDenoiser(mebibytes)) == pytest.approx(mebibytes, rel=0.1)


def test_what_was_freed_is_not_counted_twice() -> None:
    assert peak(Chain(10), GreedyDenoiser(20)) == pytest.approx(peak(Chain(2), GreedyDenoiser(20)), rel=0.01)


def test_what_is_held_at_once_adds_up() -> None:
    assert peak(Chain(3, large=1, mebibytes=30), GreedyDenoiser(20)) == pytest.approx(50, rel=0.1)


def test_a_long_chain_is_watched_for_its_first_evaluations() -> None:
    denoiser = GreedyDenoiser(1)
    late = peak(Chain(1000, large=EVALUATIONS + 1, mebibytes=100), denoiser)
    assert denoiser.seen == 2 * EVALUATIONS  # once to build what is kept, once watched
    assert late < 2
    assert EVALUATIONS == 12


def test_the_counting_denoiser_is_the_denoiser_until_its_end() -> None:
    denoiser = GreedyDenoiser(1)
    counted = CountingDenoiser(denoiser, 2)
    x, tau = torch.randn(B, BOX, BOX), torch.ones(B)
    assert all(torch.equal(counted(x, tau), x) for _ in range(2))
    with pytest.raises(EnoughSeenError):
        counted(x, tau)
    assert denoiser.seen == 2
    assert counted.numbers == denoiser.numbers
    assert torch.equal(counted.spectrum(BOX), denoiser.spectrum(BOX))


@pytest.mark.parametrize("text", ["least-squares", "total-variation:iterations=3", "ddrm:steps=3", "dps:steps=3"])
def test_the_same_run_gives_the_same_number(text: str) -> None:
    def measured() -> float:
        prior = GaussianPrior(torch.ones(BOX, BOX // 2 + 1)) if parse_solver(text).needs_prior else None
        return peak(parse_solver(text), prior)

    first = measured()
    assert 0 < first < 100
    assert measured() == first


class DeepDenoiser(GaussianPrior):
    """A denoiser of many layers, whose images in between are needed by its derivative alone."""

    def __init__(self) -> None:
        super().__init__(torch.ones(BOX, BOX // 2 + 1))

    def __call__(self, x: Tensor, tau: Tensor) -> Tensor:
        for _ in range(40):
            x = x.sin()
        return x


def test_what_a_derivative_keeps_is_counted() -> None:
    image = B * BOX**2 * 4 / MIB
    forward, backward = (peak(parse_solver(f"{name}:steps=3"), DeepDenoiser()) for name in ("ddrm", "dps"))
    assert backward > forward + 30 * image
    assert backward < forward + 50 * image
