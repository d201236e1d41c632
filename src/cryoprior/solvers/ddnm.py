"""The null-space model: at every step the network's range part is corrected, as far as the noise of y allows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.measurement.conditioning import Measurement
from cryoprior.operators import Operator
from cryoprior.prior.denoiser import Denoiser
from cryoprior.random import ParticleNoise
from cryoprior.solvers.base import Solution
from cryoprior.solvers.parts.chain import UNIT, check_chain, falling_levels


@dataclass(frozen=True)
class Ddnm:
    """DDNM+: x0_hat = D - Sigma_t A+ (A D - y), and a DDIM step from it whose noise makes up for that of y.

    With a = ratio eta tau' s / sigma of the drawn noise to that of a coordinate, Sigma_t has lambda = min(1, a) and the
    step draws variance (eta tau')^2 - (lambda sigma / s)^2 there, so that x_t keeps the noise of its level.

    steps: evenly spaced levels of the DDPM schedule.
    eta: part of the noise of a step that is drawn anew (0.85 as published, with DDIM).
    travel_length, travel_repeats: each run of ``travel_length`` levels is passed ``travel_repeats`` times (time
        travel; 1 and 1 leave it out, as published for most tasks; the paper has 10 and 3 for hard ones).
    unit: standard deviations of the prior that make 1 in the scale of [-1, 1], in which the schedule is meant.

    Known bias: that of DDRM; the measured part is put in its place by projection, whatever the unmeasured part is. A
    noisy y is fitted more closely as steps grow, and not at all with eta = 0, where Eq. 19 leaves it no weight.

    Source: Wang et al. 2023 (arXiv 2212.00490), Eqs. 17 to 19 and Algorithm 3.
    """

    steps: int = 100
    eta: float = 0.85
    travel_length: int = 1
    travel_repeats: int = 1
    unit: float = UNIT
    estimate: ClassVar[str] = "sample"
    needs_prior: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_chain("ddnm", self.steps, self.unit)
        if not 0 <= self.eta <= 1:
            raise InputError(f"ddnm: eta={self.eta}; expected within 0 and 1")
        if self.travel_length < 1 or self.travel_repeats < 1:
            raise InputError(
                f"ddnm: travel_length={self.travel_length}, travel_repeats={self.travel_repeats}; expected at least 1"
            )

    def solve(
        self, y: Float[Tensor, "b m"], operator: Operator, prior: Denoiser, sigma: float, noise: ParticleNoise
    ) -> Solution:
        """Return one approximate posterior draw per particle."""
        measurement = Measurement(operator, y, sigma, noise.particles, "ddnm")
        levels, evaluations = falling_levels(self.steps, self.unit), 0
        x = levels[0] * noise.normal_like(y.new_empty(len(y), operator.box, operator.box))
        for at, to in self._moves():
            if to < at:  # time travel: back to a higher level
                x = x + (levels[to] ** 2 - levels[at] ** 2) ** 0.5 * noise.normal_like(x)
                continue
            x0 = prior(x, x.new_full((len(x),), levels[at]))
            x = self._step(measurement, x, x0, levels[at], levels[to], noise.normal_like(x))
            evaluations += 1
        return Solution(x, evaluations=evaluations)

    def _moves(self) -> Iterator[tuple[int, int]]:
        """Yield the places of levels that the chain goes from and to; the last place is level 0."""
        for start in range(0, self.steps, self.travel_length):
            end = min(start + self.travel_length, self.steps)
            for repeat in range(self.travel_repeats):
                if repeat:
                    yield end, start
                yield from ((place, place + 1) for place in range(start, end))

    def _step(
        self, measurement: Measurement, x: Tensor, x0: Tensor, tau: float, lower: float, e: Tensor
    ) -> Float[Tensor, "b box box"]:
        drawn, deviation = self.eta * lower, measurement.deviation
        safe = deviation.clamp_min(torch.finfo(x.dtype).tiny)
        lambda_ = torch.where(deviation <= drawn, 1.0, drawn / safe)  # Eq. 19
        gamma = (drawn**2 - (lambda_ * deviation) ** 2).clamp_min(0).sqrt()
        change = lambda_ * (measurement.z - measurement.analyse(x0)) + (gamma - drawn) * measurement.analyse(e)
        kept = math.sqrt(1 - self.eta**2) * lower / tau
        return x0 + kept * (x - x0) + drawn * e + measurement.synthesise(change)  # Eqs. 17, 18
