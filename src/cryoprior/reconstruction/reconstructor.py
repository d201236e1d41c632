"""Any solver, applied to measurements in the input's grey scale."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.measurement.intensity import Intensity
from cryoprior.operators import Operator
from cryoprior.prior.denoiser import Denoiser, MeteredDenoiser
from cryoprior.random import ParticleNoise
from cryoprior.solvers.base import Solution, Solver


@dataclass(frozen=True)
class Reconstructed:
    """What one batch gave.

    solution: images and deviation in the input's grey scale.
    residual: ||y - A x|| / ||y|| of each particle, (b,).
    seconds_network: spent in the denoiser, for the whole batch.
    """

    solution: Solution
    residual: Float[Tensor, "b"]
    seconds_network: float

    def totals(self) -> dict[str, float]:
        """Return sums over the batch: network evaluations, forward and backward, their seconds, and the residual."""
        b, found = len(self.residual), self.solution
        cost = {"evaluations": b * found.evaluations, "backward": b * found.backward}
        return {**cost, "seconds_network": self.seconds_network, "residual": float(self.residual.sum())}


@dataclass(frozen=True)
class Reconstructor:
    """A solver with all that it needs besides the measurements.

    denoiser, intensity: the prior and the map from its grey scale; None for a solver that needs no prior.
    sigma: standard deviation of the noise on y, in the input's grey scale.
    seed, stage: of the random streams, one for each particle.
    autocast: precision of the network, None for the input's own.
    """

    solver: Solver
    operator: Operator
    denoiser: Denoiser | None
    intensity: Intensity | None
    sigma: float
    seed: int = 0
    stage: str = "reconstruct"
    autocast: torch.dtype | None = None

    @torch.no_grad()
    def reconstruct(self, y: Float[Tensor, "b m"], particles: Sequence[int]) -> Reconstructed:
        """Return the images of these particles, whose numbers in the whole stack choose masks and random streams."""
        noise = ParticleNoise(self.seed, self.stage, particles)
        solution, seconds = self._solve(y, noise)
        misfit = (self.operator.forward(solution.x, particles) - y).norm(dim=1)
        return Reconstructed(solution, misfit / y.norm(dim=1).clamp_min(torch.finfo(y.dtype).tiny), seconds)

    def _solve(self, y: Float[Tensor, "b m"], noise: ParticleNoise) -> tuple[Solution, float]:
        if self.denoiser is None or self.intensity is None:
            return self.solver.solve(y, self.operator, None, self.sigma, noise), 0.0
        metered = MeteredDenoiser(self.denoiser, self.autocast)
        scale = abs(self.intensity.scale)
        inner = self.intensity.to_prior(y, self.operator, noise.particles)
        found = self.solver.solve(inner, self.operator, metered, self.sigma / scale, noise)
        deviation = None if found.deviation is None else scale * found.deviation
        return dataclasses.replace(found, x=self.intensity.from_prior(found.x), deviation=deviation), metered.seconds
