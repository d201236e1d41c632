"""A prior that knows the operator, asked directly: the posterior mean in one evaluation, samples in about twenty."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.measurement.conditioning import Measurement, floored
from cryoprior.operators import Operator
from cryoprior.prior.denoiser import Denoiser, OperatorAware, SignalPrior
from cryoprior.prior.posterior import posterior_mean, posterior_signal
from cryoprior.prior.schedule import noise_levels
from cryoprior.prior.signal import MEANS_ONLY
from cryoprior.random import ParticleNoise
from cryoprior.solvers.base import Solution
from cryoprior.solvers.parts.chain import moments
from cryoprior.solvers.parts.spread import signal_deviation

TURNS = 8
STEPS = {"mean": 1, "signal": 1, "sample": 20}


@dataclass(frozen=True)
class Posterior:
    """E[x0 | y] from a network that was trained to answer for measurements, or draws from p(x0 | y).

    A mean is one question, with the measurement as all the evidence; further evaluations ask it of the image turned and
    mirrored and average. A draw is a diffusion chain whose every step asks for E[x0 | x_t, y] itself, so that the
    network, not a Gaussian approximation, combines the two. Its fluctuations around that mean are those of a stationary
    Gaussian of the prior's spectrum given x_t and y; their error enters a step with (1 - r)^2 and goes away as steps
    grow. A Gaussian prior is sampled exactly in any number of steps.

    estimate: ``mean`` or ``sample`` of the image, or ``signal``, E[s | y] of the particle without its noise.
    steps: network evaluations of the mean (1 to 8; 1 if not given), or of each draw (20 if not given).
    samples: draws for the deviation; above 1 a deviation is returned, at samples * 20 evaluations (for ``mean`` on top
        of its own); of a signal at 1 + 2 * samples, see parts/spread.py.
    tau_max, tau_min, rho: noise levels of a draw, in grey-scale units; see prior/schedule.py.
    tolerance: relative residual of conjugate gradients, for operators without a closed form.

    Source: Exact Posterior Score (arXiv 2606.17048) for the mean; docs/theory.md.
    """

    estimate: Literal["mean", "sample", "signal"] = "mean"
    steps: int | None = None
    samples: int = 1
    tau_max: float = 20.0
    tau_min: float = 0.05
    rho: float = 7.0
    tolerance: float = 1e-3
    needs_prior: ClassVar[bool] = True
    needs_operator_aware: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.samples < 1 or (self.steps is not None and self.steps < 1):
            raise InputError(f"posterior: steps={self.steps}, samples={self.samples}; expected at least 1")
        if self.estimate != "sample" and (self.steps or 1) > TURNS:
            raise InputError(
                f"posterior: steps={self.steps} for a {self.estimate}; expected 1 to {TURNS}, "
                "one for each turn and mirror image"
            )
        if not 0 < self.tau_min <= self.tau_max:
            raise InputError(
                f"posterior: tau_min={self.tau_min}, tau_max={self.tau_max}; expected them positive and in this order"
            )
        if not 0 < self.tolerance < 1:
            raise InputError(f"posterior: tolerance={self.tolerance}; expected within 0 and 1")

    def solve(
        self, y: Float[Tensor, "b m"], operator: Operator, prior: Denoiser, sigma: float, noise: ParticleNoise
    ) -> Solution:
        """Return the posterior mean or one posterior draw, with a deviation where samples > 1.

        Raises
        ------
        InputError: a prior that was not trained on measurements, or an operator that is not linear.
        """
        if not isinstance(prior, OperatorAware) or not prior.operator_aware:
            raise InputError(
                "solver 'posterior': this prior knows no measurements; expected one trained with <operator_aware>; "
                "use <solver=exact>, which takes any prior"
            )
        measurement = Measurement(operator, y, sigma, noise.particles, "posterior")
        if self.estimate == "signal":
            return self._signal(prior, measurement, noise)
        drawn = self.samples if self.estimate == "sample" or self.samples > 1 else 0
        if drawn and prior.means_only:
            raise InputError(MEANS_ONLY)
        draws = (self._draw(prior, measurement, noise.fork(f"sample{i}")) for i in range(drawn))
        first, deviation = moments(draws)
        evaluations = drawn * self._steps("sample")
        if self.estimate == "sample":
            assert first is not None
            return Solution(first, evaluations, deviation)
        turns = self._steps("mean")
        mean = posterior_mean(prior, measurement, turns=turns, tolerance=self.tolerance)
        return Solution(mean, evaluations + turns, deviation)

    def _signal(self, prior: OperatorAware, measurement: Measurement, noise: ParticleNoise) -> Solution:
        """Return E[s | y], with its deviation from draws of the image where samples > 1.

        A draw is E[x0 | y] plus a fluctuation of the prior's spectrum given y. An image is mostly noise, which has that
        law: draws by a whole chain gave the same deviations within 3 % on simulated particles, in six times the time.
        """
        turns = self._steps("signal")
        mean = posterior_signal(prior, measurement, turns=turns, tolerance=self.tolerance)
        if self.samples == 1:
            return Solution(mean, turns)
        assert isinstance(prior, SignalPrior)
        signal, background = prior.components(measurement.operator.box, measurement.y)
        image = posterior_mean(prior, measurement, tolerance=self.tolerance)
        nothing, power = torch.zeros_like(image), floored(signal + background)
        draws = (
            image + measurement.silent.condition(nothing, power, noise.fork(f"sample{i}"), tolerance=self.tolerance)
            for i in range(self.samples)
        )
        deviation = signal_deviation(prior, draws, floored(background), noise.fork("signs"))
        return Solution(mean, turns + 1 + 2 * self.samples, deviation)

    def _steps(self, estimate: str) -> int:
        """Return the evaluations of a mean or a draw; ``steps`` is about the estimate that was asked for."""
        return self.steps if self.steps is not None and estimate == self.estimate else STEPS[estimate]

    def _draw(self, prior: OperatorAware, measurement: Measurement, noise: ParticleNoise) -> Float[Tensor, "b box box"]:
        """Return one draw of p(x0 | y) after a descent through the noise levels."""
        box = measurement.operator.box
        signal, background = prior.components(box, measurement.y)
        power = floored(signal + background)
        nothing = measurement.y.new_zeros(len(measurement.y), box, box)
        levels = [float(tau) for tau in noise_levels(self._steps("sample"), self.tau_max, self.tau_min, self.rho)]

        def drawn_given(x: Tensor, tau: float) -> Tensor:
            covariance = power * tau**2 / (power + tau**2)
            mean = posterior_mean(prior, measurement, x, tau, tolerance=self.tolerance)
            return mean + measurement.silent.condition(nothing, covariance, noise, tolerance=self.tolerance)

        start = measurement.condition(nothing, power, noise, tolerance=self.tolerance)
        x = start + levels[0] * noise.normal_like(start)
        for tau, lower in pairwise(levels):
            r = (lower / tau) ** 2
            x = r * x + (1 - r) * drawn_given(x, tau) + lower * (1 - r) ** 0.5 * noise.normal_like(x)
        return measurement.fit(drawn_given(x, levels[-1]))
