"""Any solver, applied to measurements in the input's grey scale: what the command, the benchmark and the verb share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.measurement.arrays import check_choice
from cryoprior.measurement.intensity import CONTRASTS, Intensity
from cryoprior.measurement.reading import MeasuredRows, calibration_sample
from cryoprior.operators import Operator
from cryoprior.prior import Prior
from cryoprior.prior.calibration import Calibration, calibrate
from cryoprior.prior.denoiser import Denoiser, MeteredDenoiser
from cryoprior.random import ParticleNoise
from cryoprior.solvers import SOLVERS
from cryoprior.solvers.base import Solution, Solver
from cryoprior.spec import format_spec

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}
"""Names of the precisions of the network, and what its matrix products are rounded to."""
SPECTRA = ("measured", "prior")
"""Whose power spectrum a fitted prior has."""


@dataclass(frozen=True)
class Reconstructed:
    """What one batch gave.

    solution: images and deviation in the input's grey scale.
    residual: ||y - A x|| / ||y|| per particle, (b,).
    seconds_network: spent in the denoiser, for the whole batch.
    """

    solution: Solution
    residual: Float[Tensor, "b"]
    seconds_network: float

    def totals(self) -> dict[str, float]:
        """Return sums over the batch: network evaluations, forward and backward, their seconds, and the residual."""
        b, solution = len(self.residual), self.solution
        cost = {"evaluations": b * solution.evaluations, "backward": b * solution.backward}
        return {**cost, "seconds_network": self.seconds_network, "residual": float(self.residual.sum())}


@dataclass(frozen=True, repr=False)
class Reconstructor:
    """A solver with all that it needs besides the measurements.

    denoiser, intensity: the prior and the map from its grey scale; None for a solver that needs no prior.
    sigma: standard deviation of the noise on y, in the input's grey scale.
    seed, stage: of the random streams, one per particle.
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

    def __repr__(self) -> str:
        return f"Reconstructor({self.solver!r}, {self.operator!r}, sigma={self.sigma:.3g})"

    @torch.no_grad()
    def reconstruct(self, y: Float[Tensor, "b m"], particles: Sequence[int]) -> Reconstructed:
        """Return the images of these particles, whose numbers in the whole stack choose masks and random streams."""
        noise = ParticleNoise(self.seed, self.stage, particles)
        solution, seconds = self._solve(y, noise)
        misfit = (self.operator.forward(solution.x, particles) - y).norm(dim=1)
        return Reconstructed(solution, misfit / y.norm(dim=1).clamp_min(torch.finfo(y.dtype).tiny), seconds)

    def batches(self, measured: MeasuredRows, batches: Sequence[range]) -> Iterator[Reconstructed]:
        """Yield what each batch of rows gives; InputError for images that are not finite."""
        for places in batches:
            y, particles = measured.rows(places)
            reconstructed = self.reconstruct(y, particles)
            if not bool(torch.isfinite(reconstructed.solution.x).all()):
                raise InputError(
                    f"{format_spec(self.solver, SOLVERS)}: images of rows {places.start} to {places.stop - 1} are not "
                    "finite; expected numbers; choose smaller steps or another solver"
                )
            yield reconstructed

    @cached_property
    def _inside(self) -> Operator:
        """The operator with its levels in the prior's grey scale."""
        return self.operator if self.intensity is None else self.intensity.operator(self.operator)

    def _solve(self, y: Float[Tensor, "b m"], noise: ParticleNoise) -> tuple[Solution, float]:
        if self.denoiser is None or self.intensity is None:
            return self.solver.solve(y, self.operator, None, self.sigma, noise), 0.0
        metered = MeteredDenoiser(self.denoiser, self.autocast)
        scale = abs(self.intensity.scale)
        inner = self.intensity.to_prior(y, self.operator, noise.particles)
        solution = self.solver.solve(inner, self._inside, metered, self.sigma / scale, noise)
        deviation = None if solution.deviation is None else scale * solution.deviation
        images = self.intensity.from_prior(solution.x)
        return dataclasses.replace(solution, x=images, deviation=deviation), metered.seconds


@torch.no_grad()
def fit_prior(
    prior: Denoiser,
    measured: MeasuredRows,
    operator: Operator,
    sigma: float = 0.0,
    *,
    spectrum: str = "measured",
    contrast: str = "auto",
) -> Calibration:
    """Return a prior in the grey scale, contrast and spectrum of measurements, found from a fixed sample of them.

    Parameters
    ----------
    prior: a denoiser, or a Prior that holds one.
    measured: all measurements of the data set; at most 256 particles of them are looked at.
    sigma: standard deviation of the noise on y, in the input's grey scale.
    spectrum: ``measured`` fits the power spectrum of the images, ``prior`` keeps the prior's.
    contrast: ``bright``, ``dark``, or ``auto`` to look at the images.

    Raises
    ------
    InputError: measurements with no power above sigma.
    """
    check_choice(spectrum, "spectrum", SPECTRA)
    check_choice(contrast, "contrast", CONTRASTS)
    y, particles = measured.rows(calibration_sample(len(measured)))
    denoiser = prior.denoiser if isinstance(prior, Prior) else prior
    fitted = spectrum == "measured"
    return calibrate(y, operator, denoiser, sigma, particles, spectrum=fitted, contrast=contrast)


def make_reconstructor(
    solver: Solver,
    operator: Operator,
    fitted: Calibration | None,
    sigma: float = 0.0,
    *,
    seed: int = 0,
    stage: str = "reconstruct",
    dtype: str = "float32",
) -> Reconstructor:
    """Return a solver with the prior that was fitted to the measurements, None for a solver that needs none.

    dtype: precision of the network, ``float32`` or ``bfloat16``.
    """
    check_choice(dtype, "dtype", PRECISIONS)
    denoiser, intensity = (None, None) if fitted is None else (fitted.denoiser, fitted.intensity)
    return Reconstructor(solver, operator, denoiser, intensity, sigma, seed, stage, PRECISIONS[dtype])
