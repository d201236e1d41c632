"""Our sampler: every step of a diffusion chain is conditioned on the measurement in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.spectrum import apply_filter
from cryoprior.measurement.conditioning import Measurement, floored
from cryoprior.operators import Operator
from cryoprior.prior.denoiser import Denoiser, SignalPrior
from cryoprior.prior.schedule import noise_levels
from cryoprior.prior.split import signal_and_noise
from cryoprior.random import ParticleNoise
from cryoprior.solvers.base import Solution
from cryoprior.solvers.parts.chain import moments
from cryoprior.solvers.parts.spread import signal_deviation

Means = tuple[Float[Tensor, "b box box"], Float[Tensor, "b box box"]]
Conditional = Callable[[Float[Tensor, "b box box"], float], Means]


@dataclass(frozen=True)
class Exact:
    """Draws from p(x0 | y), or its mean, with no gradient through the network.

    At noise level tau the law of x0 given x_t is taken as N(D(x_t, tau), C), C_k = P_k tau^2 / (P_k + tau^2) by
    frequency, and conditioned on y: E[x0 | x_t, y] = D + C A^T (A C A^T + sigma^2 I)^-1 (y - A D). A draw x0' of that
    law, not its mean, carries the chain to the next level by the bridge
    x_tau' = r x_tau + (1 - r) x0' + tau' sqrt(1 - r) e, r = tau'^2 / tau^2. The chain starts from the posterior that
    the spectrum alone gives, so a Gaussian prior is sampled exactly in any number of steps. For other priors the
    error of C in a draw enters a step with (1 - r)^2 and goes away as steps grow; the Gaussian shape of the correction
    remains an approximation at high tau, where C is wide.

    Known bias: for a prior that is not Gaussian the mean is not E[x0 | y]. Of images of four templates in noise, whose
    posterior is known, it is .2 to .6 of the distance of the best linear estimate away at 25 evaluations, and .1 to .4
    at 800, as C and the chains' mixing between templates are approximations (tests/solvers/test_means.py).
    ``posterior`` asks a network for E[x0 | y] itself.

    estimate: ``mean`` averages E[x0 | x_t, y] over chains held at mean_tau (never draws); ``sample`` gives one draw;
        ``signal`` averages E[s | x_t, y] = S + Q / P (E[x0 | x_t, y] - D) over the same chains, for a prior of signal
        and noise, x0 = s + n of powers Q and P - Q, that estimates S = E[s | x_t].
    steps: network evaluations of the mean, or of each draw.
    samples: draws for the deviation; above 1 a deviation is returned, at samples * steps evaluations (for ``mean``
        on top of its own). Of a signal, at samples * (steps + 2): see parts/spread.py.
    tau_max, tau_min, rho: noise levels of a draw, in grey-scale units; see prior/schedule.py.
    mean_tau: level at which the mean is averaged; a high one averages faster and leans more on C.
    descent: part of a mean's evaluations spent on the way from tau_max down to mean_tau.
    chains: chains of a mean; they share its steps evenly (25 for two chains are 24), and every second one mirrors
        the noise of the one before, which cancels all that is linear in the noise.
    tolerance: relative residual of conjugate gradients, for operators without a closed form.

    Source: ours. The conditioned mean at one level is that of Song et al. 2023 (PiGDM, Eq. 7) with C for r_t^2 I.
    """

    estimate: Literal["mean", "sample", "signal"] = "mean"
    steps: int = 25
    samples: int = 1
    tau_max: float = 20.0
    tau_min: float = 0.05
    rho: float = 7.0
    mean_tau: float = 1.0
    descent: float = 0.4
    chains: int = 2
    tolerance: float = 1e-3
    needs_prior: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.steps < 1 or self.samples < 1 or self.chains < 1:
            raise InputError(
                f"exact: steps={self.steps}, samples={self.samples}, chains={self.chains}; expected at least 1"
            )
        if self.estimate != "sample" and self.steps < self.chains:
            raise InputError(f"exact: steps={self.steps} for chains={self.chains}; expected one step per chain or more")
        if not 0 < self.tau_min <= self.mean_tau <= self.tau_max:
            raise InputError(
                f"exact: tau_min={self.tau_min}, mean_tau={self.mean_tau}, tau_max={self.tau_max}; "
                "expected them positive and in this order"
            )
        if not 0 <= self.descent < 1 or not 0 < self.tolerance < 1:
            raise InputError(f"exact: descent={self.descent}, tolerance={self.tolerance}; expected within 0 and 1")

    def solve(
        self, y: Float[Tensor, "b m"], operator: Operator, prior: Denoiser, sigma: float, noise: ParticleNoise
    ) -> Solution:
        """Return the posterior mean or one posterior draw, with a deviation where samples > 1."""
        chain = _Chain(Measurement(operator, y, sigma, noise.particles, "exact"), prior, operator.box, self.tolerance)
        if self.estimate == "signal":
            return self._signal(chain, noise)
        drawn = self.samples if self.estimate == "sample" or self.samples > 1 else 0
        first, deviation = moments(chain.draw(self._levels(), noise.fork(f"sample{i}")) for i in range(drawn))
        evaluations = drawn * self.steps
        if self.estimate == "sample":
            assert first is not None
            return Solution(first, evaluations, deviation)
        mean, cost = self._mean(chain.conditional_mean, chain, noise)
        return Solution(chain.measurement.fit(mean), evaluations + cost, deviation)

    def _signal(self, chain: _Chain, noise: ParticleNoise) -> Solution:
        """Return E[s | y], with a deviation where samples > 1."""
        box, y = chain.measurement.operator.box, chain.measurement.y
        signal, background = signal_and_noise(chain.prior, box, y)
        assert isinstance(chain.prior, SignalPrior)
        mean, cost = self._mean(_SignalMean(chain, signal, background), chain, noise)
        if self.samples == 1:
            return Solution(mean, cost)
        draws = (chain.draw(self._levels(), noise.fork(f"sample{i}")) for i in range(self.samples))
        deviation = signal_deviation(chain.prior, draws, floored(background), noise.fork("signs"))
        return Solution(mean, cost + self.samples * (self.steps + 2), deviation)

    def _levels(self) -> list[float]:
        return [float(tau) for tau in noise_levels(self.steps, self.tau_max, self.tau_min, self.rho)]

    def _mean(self, of: Conditional, chain: _Chain, noise: ParticleNoise) -> tuple[Float[Tensor, "b box box"], int]:
        """Return the average over all chains of what is wanted given x_t and y, and its evaluations."""
        total, held = torch.zeros_like(chain.nothing), 0
        for i in range(self.chains):
            steps = self.steps // self.chains
            falling = int(self.descent * steps)
            levels = noise_levels(falling + 1, self.tau_max, self.mean_tau, self.rho)
            stream = _Mirrored(noise.fork(f"chain{i // 2}"), -1 if i % 2 else 1)
            total = total + chain.hold(of, [float(tau) for tau in levels], steps - falling, stream)
            held += steps - falling
        return total / held, self.chains * (self.steps // self.chains)


class _Chain:
    """The moves that draws and means share, for one batch."""

    def __init__(self, measurement: Measurement, prior: Denoiser, box: int, tolerance: float) -> None:
        self.measurement, self.prior, self.tolerance = measurement, prior, tolerance
        self.power = floored(prior.spectrum(box).to(measurement.y))
        self.nothing = measurement.y.new_zeros(len(measurement.y), box, box)

    def draw(self, levels: list[float], noise: ParticleNoise) -> Float[Tensor, "b box box"]:
        """Return one draw of p(x0 | y) after a descent through the levels."""
        x = self.descend(levels, noise)
        return self.measurement.fit(self._conditioned(self._denoised(x, levels[-1]), levels[-1], noise))

    def hold(
        self, of: Conditional, levels: list[float], count: int, noise: ParticleNoise
    ) -> Float[Tensor, "b box box"]:
        """Return the sum of ``count`` conditional means of a Gibbs chain at the last level."""
        x, tau = self.descend(levels, noise), levels[-1]
        total = torch.zeros_like(x)
        for i in range(count):
            mean, denoised = of(x, tau)
            total = total + mean
            if i + 1 < count:
                x = self._conditioned(denoised, tau, noise) + tau * noise.normal_like(x)
        return total

    def conditional_mean(self, x: Float[Tensor, "b box box"], tau: float) -> Means:
        """Return E[x0 | x_t, y] and D = E[x0 | x_t]; one evaluation."""
        denoised = self._denoised(x, tau)
        return self._conditioned(denoised, tau, None), denoised

    def descend(self, levels: list[float], noise: ParticleNoise) -> Float[Tensor, "b box box"]:
        """Return x_t at the last level; one evaluation at each level before it."""
        start = self.measurement.condition(self.nothing, self.power, noise, tolerance=self.tolerance)
        x = start + levels[0] * noise.normal_like(start)
        for tau, lower in pairwise(levels):
            x0 = self._conditioned(self._denoised(x, tau), tau, noise)
            r = (lower / tau) ** 2
            x = r * x + (1 - r) * x0 + lower * (1 - r) ** 0.5 * noise.normal_like(x)
        return x

    def _denoised(self, x: Float[Tensor, "b box box"], tau: float) -> Float[Tensor, "b box box"]:
        return self.prior(x, x.new_full((len(x),), tau))

    def _conditioned(
        self, denoised: Float[Tensor, "b box box"], tau: float, noise: ParticleNoise | None
    ) -> Float[Tensor, "b box box"]:
        """Return E[x0 | x_t, y], or with noise a draw of x0 given x_t and y."""
        covariance = self.power * tau**2 / (self.power + tau**2)
        return self.measurement.condition(denoised, covariance, noise, tolerance=self.tolerance)


class _SignalMean:
    """What a chain averages for the signal: E[s | x_t, y], where x0 given x_t, and s with it, are taken as Gaussian."""

    def __init__(self, chain: _Chain, signal: Float[Tensor, "box half"], noise: Float[Tensor, "box half"]) -> None:
        self.chain, self.noise = chain, noise
        self.share = signal / floored(signal + noise)

    def __call__(self, x: Float[Tensor, "b box box"], tau: float) -> Means:
        """Return E[s | x_t, y] and D = E[x0 | x_t]; one evaluation."""
        prior = self.chain.prior
        assert isinstance(prior, SignalPrior)
        signal = prior.signal(x, x.new_full((len(x),), tau))
        denoised = signal + apply_filter(x - signal, self.noise / (self.noise + tau**2))
        change = self.chain._conditioned(denoised, tau, None) - denoised
        return signal + apply_filter(change, self.share), denoised


class _Mirrored(ParticleNoise):
    """The same streams with every draw multiplied by a sign."""

    def __init__(self, noise: ParticleNoise, sign: int) -> None:
        super().__init__(noise.seed, noise.stage, noise.particles)
        self.sign = sign

    def normal_like(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        return self.sign * super().normal_like(x)
