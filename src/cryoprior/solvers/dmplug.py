"""A diffusion model as a plug: the noise that a short DDIM chain starts from is optimised until its image fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.operators import Operator
from cryoprior.prior.denoiser import Denoiser, Pullback, linearise
from cryoprior.prior.schedule import ddpm_alpha_bar, exploding_level
from cryoprior.random import ParticleNoise
from cryoprior.solvers.base import Solution
from cryoprior.solvers.parts.chain import UNIT
from cryoprior.solvers.parts.misfit import Misfit, Rows


@dataclass(frozen=True)
class DmPlug:
    """DMPlug: z* = argmin mean (y - A R(z))^2, R a deterministic chain of a few DDIM steps, by Adam; x = R(z*).

    Every iteration costs ``steps`` forward and as many backward evaluations. The defaults are the method's own, 5,000
    iterations of 3 steps. The settings of the paper's comparison are ``iterations=1000`` on measurements with all-ones
    masks alone, ``pixel:block=K,masks=1``.

    iterations: of Adam, at most.
    steps: DDIM steps, at the levels 0, 1000 / steps, ... of the DDPM schedule.
    learning_rate, beta_1, beta_2: of Adam.
    stop: ``none``; ``variance`` ends a particle on its own, without looking at the answer, when the moving variance of
        its images has had no new minimum for ``patience`` iterations, and takes the image at the minimum. Images
        first settle, then begin to fit what the prior does not know; the variance is least in between.
    patience, memory: of that rule: iterations, and the weight of the newest image in the moving mean. The rule begins
        after ``patience`` iterations (ours): the first steps of Adam are short, and so is their variance.
    rows: the rows of A as ``given``, or ``orthonormal``: see misfit.py.
    unit: standard deviations of the prior that make 1 in the scale of [-1, 1].

    Known bias: it is no draw of a posterior. Nothing weighs z, and any R(z) that fits will do, the one near the first
    z; with a Gaussian prior the unmeasured part keeps that of R at the start, scaled by the chain.

    Source: Wang et al. 2024 (arXiv 2405.16749), section 3; the stopping rule: Wang et al. 2023 (Early Stopping for
    Deep Image Prior, arXiv 2112.06074), its exponential variant.
    """

    iterations: int = 5000
    steps: int = 3
    learning_rate: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    stop: Literal["none", "variance"] = "none"
    patience: int = 300
    memory: float = 0.1
    rows: Rows = "given"
    unit: float = UNIT
    estimate: ClassVar[str] = "sample"
    needs_prior: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.patience < 1:
            raise InputError(f"dmplug: iterations={self.iterations}, patience={self.patience}; expected at least 1")
        if not 1 <= self.steps <= 1000:
            raise InputError(f"dmplug: steps={self.steps}; expected 1 to 1000, the levels of the DDPM schedule")
        if not self.learning_rate > 0 or not self.unit > 0:
            raise InputError(f"dmplug: learning_rate={self.learning_rate}, unit={self.unit}; expected more than 0")
        if not (0 <= self.beta_1 < 1 and 0 <= self.beta_2 < 1 and 0 < self.memory < 1):
            raise InputError(
                f"dmplug: beta_1={self.beta_1}, beta_2={self.beta_2}, memory={self.memory}; expected within 0 and 1"
            )

    def solve(
        self, y: Float[Tensor, "b m"], operator: Operator, prior: Denoiser, sigma: float, noise: ParticleNoise
    ) -> Solution:
        """Return the image of the optimised noise per particle; sigma matters for orthonormal rows alone."""
        misfit = Misfit(operator, y, sigma, noise.particles, self.rows, "dmplug")
        z = noise.normal_like(y.new_empty(len(y), operator.box, operator.box))
        first, second = torch.zeros_like(z), torch.zeros_like(z)
        watch = VarianceWatch(self.patience, self.memory, len(z)) if self.stop == "variance" else None
        levels = self._levels()
        start = (self.unit**2 + levels[0] ** 2) ** 0.5  # z is x_T of variance 1, and x_T / sqrt(abar_T) what D takes
        for k in range(1, self.iterations + 1):
            x, pullbacks = _generated(prior, start * z, levels)
            r, back = misfit(x)
            g = -2 / r.shape[1] * back / self.unit**2  # of the mean square in the scale of [-1, 1], by x
            g = start * _pulled_back(g, pullbacks, levels)
            first, second = torch.lerp(g, first, self.beta_1), torch.lerp(g.square(), second, self.beta_2)
            mean, square = first / (1 - self.beta_1**k), second / (1 - self.beta_2**k)
            z = z - self.learning_rate * mean / (square.sqrt() + 1e-8)
            if watch is not None and watch.finished(x):
                break
        if watch is not None:
            cost = self.steps * watch.seen.double().mean().item()
            return Solution(watch.best, evaluations=cost, backward=cost)
        x, _ = _generated(prior, start * z, levels)
        cost = self.steps * self.iterations
        return Solution(x, evaluations=cost + self.steps, backward=cost)

    def _levels(self) -> list[float]:
        """Return the noise of every step, the highest first."""
        places = torch.arange(self.steps) * (1000 // self.steps)
        return [self.unit * float(tau) for tau in exploding_level(ddpm_alpha_bar()[places]).flip(0)]


class VarianceWatch:
    """Where the moving variance of each particle's images was least, and since when it has not been lower.

    best: the image at the minimum, (b, box, box). seen: iterations until each particle stopped, (b,).
    """

    best: Float[Tensor, "b box box"]

    def __init__(self, patience: int, memory: float, b: int) -> None:
        self.patience, self.memory = patience, memory
        self.least = torch.full((b,), torch.inf, dtype=torch.float64)
        self.since, self.seen = torch.zeros(b, dtype=torch.long), torch.zeros(b, dtype=torch.long)
        self.mean: Tensor | None = None
        self.count = 0
        self.variance = torch.zeros(b, dtype=torch.float64)

    def finished(self, x: Float[Tensor, "b box box"]) -> bool:
        """Return whether every particle has stopped, after another image of each. Source: Algorithm 2 there."""
        if self.mean is None:
            self.mean, self.best = x, x
            self.seen += 1
            return False
        begun, running = self.count >= self.patience, self.since < self.patience
        self.count += 1
        change = (x - self.mean).double().square().sum((-2, -1)).cpu()
        self.variance = (1 - self.memory) * (self.variance + self.memory * change)
        self.mean = torch.lerp(self.mean, x, self.memory)
        lower = running & (self.variance < self.least) if begun else running
        self.best = torch.where(lower[:, None, None].to(x.device), x, self.best)
        if begun:
            self.least = torch.where(lower, self.variance, self.least)
        self.since = torch.where(lower, 0, self.since + running.long())
        self.seen = self.seen + running.long()
        return bool((self.since >= self.patience).all())


def _generated(
    prior: Denoiser, x: Float[Tensor, "b box box"], levels: Sequence[float]
) -> tuple[Float[Tensor, "b box box"], list[Pullback]]:
    """Return R(z) for x = z / sqrt(abar), and what is needed to differentiate it. Source: DDIM, eta = 0."""
    pullbacks = []
    for tau, lower in pairwise((*levels, 0.0)):
        x0, pullback = linearise(prior, x, x.new_full((len(x),), tau))
        x = x0 + lower / tau * (x - x0)
        pullbacks.append(pullback)
    return x, pullbacks


def _pulled_back(
    g: Float[Tensor, "b box box"], pullbacks: Sequence[Pullback], levels: Sequence[float]
) -> Float[Tensor, "b box box"]:
    """Return the derivative by the first x of a function whose derivative by the last is g."""
    for (tau, lower), pullback in zip(reversed(list(pairwise((*levels, 0.0)))), reversed(pullbacks), strict=True):
        g = lower / tau * g + (1 - lower / tau) * pullback(g)
    return g
