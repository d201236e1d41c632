"""Floors that know the prior's mean image and spectrum, and nothing of its network's answer to the particle."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.measurement.full_images import Measured
from cryoprior.measurement.reading import StoredRows, calibration_sample
from cryoprior.operators import Operator
from cryoprior.prior import load_prior
from cryoprior.prior.calibration import Calibration, calibrate
from cryoprior.prior.denoiser import Centred
from cryoprior.prior.split import signal_and_noise
from cryoprior.random import ParticleNoise
from cryoprior.solvers.gaussian import Gaussian

log = logging.getLogger("cryoprior")
TOLERANCE = 1e-3


@dataclass(frozen=True)
class PriorFloors:
    """The prior of a reconstruction, fitted to the measurements as ``reconstruct`` fitted it.

    sigma: of the noise on y. splits: whether the prior tells signal from noise.
    """

    fitted: Calibration
    sigma: float
    splits: bool

    @classmethod
    @torch.no_grad()
    def open(
        cls, recorded: Mapping[str, Any], measurements: Measured, operator: Operator, device: torch.device
    ) -> PriorFloors | None:
        """Return them for what a reconstruction recorded; None where it asked no prior, or one that is gone."""
        name, box = recorded.get("prior"), measurements.box
        if not name:
            return None
        try:
            prior = load_prior(str(name), device)
        except InputError as error:
            log.warning("%s; the floors that know its mean image and spectrum are left out", error.message)
            return None
        if box not in prior.boxes:
            return None
        y, particles = StoredRows(measurements, device).rows(calibration_sample(measurements.n))
        decided = (recorded.get("contrast") or {}).get("particles", "auto")
        fitted = calibrate(y, operator, prior.denoiser, measurements.sigma, particles, contrast=decided)
        return cls.of(fitted, measurements.sigma, box, y)

    @classmethod
    def of(cls, fitted: Calibration, sigma: float, box: int, like: Tensor) -> PriorFloors:
        """Return them for a prior that was fitted to measurements of images of this box."""
        try:
            signal_and_noise(fitted.denoiser, box, like)
        except InputError:
            return cls(fitted, sigma, splits=False)
        return cls(fitted, sigma, splits=True)

    @torch.no_grad()
    def images(
        self, y: Float[Tensor, "b m"], operator: Operator, particles: Sequence[int]
    ) -> dict[str, Float[Tensor, "b box box"]]:
        """Return the floors by name, in the grey scale of the input."""
        intensity, prior = self.fitted.intensity, self.fitted.denoiser
        inner, sigma = intensity.to_prior(y, operator, particles), self.sigma / abs(intensity.scale)
        noise = ParticleNoise(0, "evaluate/floors", particles)
        solvers = {"gaussian": Gaussian(tolerance=TOLERANCE)}
        if self.splits:
            solvers["wiener_signal"] = Gaussian(estimate="signal", tolerance=TOLERANCE)
        inside = intensity.operator(operator)
        made = {name: solver.solve(inner, inside, prior, sigma, noise).x for name, solver in solvers.items()}
        if isinstance(prior, Centred):
            made["mean_image"] = prior.mean_image(operator.box, y).expand(len(y), -1, -1)
        return {name: intensity.from_prior(x) for name, x in made.items()}
