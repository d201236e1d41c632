"""From images to reconstructions: measure, fit the prior to the data set, restore in batches."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cryoprior.measurement.intensity import Contrast, Intensity
from cryoprior.operators import Operator
from cryoprior.output.record import file_digest
from cryoprior.prior import Denoiser, Prior
from cryoprior.prior.calibration import calibrate
from cryoprior.reconstruction.reconstructor import Reconstructor
from cryoprior.solvers import Solver

FIT_PARTICLES = 256
BATCH = 16
DTYPES = {"float32": None, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Fitted:
    """A prior in the grey scale and contrast of one measured data set."""

    denoiser: Denoiser
    intensity: Intensity
    contrast: Contrast

    def reconstructor(
        self, solver: Solver, operator: Operator, sigma: float = 0.0, dtype: str = "float32"
    ) -> Reconstructor:
        """Return the solver with all that it needs."""
        return Reconstructor(solver, operator, self.denoiser, self.intensity, sigma, autocast=DTYPES[dtype])


@torch.inference_mode()
def fit_prior(prior: Prior, operator: Operator, y: Tensor, sigma: float = 0.0, *, spectrum: str = "auto") -> Fitted:
    """Return the prior fitted to measurements of particles 0 .. n - 1, as ``cryoprior reconstruct`` does it."""
    n = len(y)
    particles = torch.linspace(0, n - 1, min(n, FIT_PARTICLES)).round().long().unique().tolist()
    y = y[particles]
    found = calibrate(y, operator, prior.denoiser, sigma, particles, spectrum=spectrum == "auto")
    return Fitted(found.denoiser, found.intensity, found.contrast)


@dataclass(frozen=True)
class Reconstruction:
    """Images of all particles, in the input's grey scale, and what they cost.

    residual: ||y - A x|| / ||y|| of each particle. evaluations: of the network, for each particle.
    """

    x: Tensor
    residual: Tensor
    evaluations: int
    seconds: float
    seconds_network: float


def reconstruct(reconstructor: Reconstructor, y: Tensor, batch: int = BATCH, first: int = 0) -> Reconstruction:
    """Return the images of particles first .. first + n - 1."""
    start, parts = time.perf_counter(), []
    for low in range(0, len(y), batch):
        rows = y[low : low + batch]
        parts.append(reconstructor.reconstruct(rows, range(first + low, first + low + len(rows))))
    seconds = time.perf_counter() - start
    return Reconstruction(
        torch.cat([part.solution.x for part in parts]),
        torch.cat([part.residual for part in parts]),
        parts[-1].solution.evaluations,
        seconds,
        sum(part.seconds_network for part in parts),
    )


def measure(operator: Operator, images: Tensor) -> Tensor:
    """Return y = A x without added noise, for particles 0 .. n - 1."""
    return operator.forward(images, range(len(images)))


def prior_digest(prior: Prior) -> str:
    """Return the sha256 of the prior's weights, 16 digits."""
    return file_digest(prior.path / "model.safetensors").rpartition(":")[2][:16]


def prior_name(prior: Prior, argument: str) -> str:
    """Return what a table calls the prior."""
    return f"{'embedded' if argument == 'default' else Path(argument).name}, sha256 {prior_digest(prior)}"
