"""The check of a prior on a data set: a part of its particles, with a part of their numbers withheld."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.spectrum import radial_average
from cryoprior.io import read_particles
from cryoprior.io.rows import row_batches, spread_rows
from cryoprior.measurement.conditioning import Measurement, seen_share
from cryoprior.measurement.full_images import FullImages, Measured
from cryoprior.measurement.reading import StoredRows, open_measurements
from cryoprior.operators import Operator
from cryoprior.prior import Prior, load_prior
from cryoprior.prior.denoiser import Denoiser, OperatorAware
from cryoprior.progress import track
from cryoprior.reconstruction.check import Check
from cryoprior.reconstruction.choice import open_prior
from cryoprior.reconstruction.job import ReconstructionJob
from cryoprior.reconstruction.reconstructor import fit_prior
from cryoprior.reconstruction.withholding import Withheld, as_frequencies, predict_withheld
from cryoprior.solvers import parse_solver

log = logging.getLogger("cryoprior")
PROBES = 4
BATCH, PARTICLES = 16, 256
"""Particles at a time, and those of a check that nobody gave a number."""


def prior_to_check(job: ReconstructionJob) -> Denoiser:
    """Return the prior that is checked: that of the job, or the embedded one that can be asked about measurements.

    Raises
    ------
    InputError: a prior that cannot be asked about a part of a measurement.
    """
    known = job.prior
    if known is None or (job.prior_name == "default" and not _aware(known)):
        known = load_prior("operator-aware" if job.prior_name == "default" else job.prior_name, job.device)
    if not _aware(known):
        raise InputError(
            f"<check>: the prior {job.prior_name!r} cannot be asked about a part of a measurement; use the embedded "
            "prior, or one trained with <operator_aware>"
        )
    return known


def check_file(path: Path, prior: str, device: torch.device, seed: int = 0, **companions: Any) -> Check:
    """Return what an image prior knows of measurements (.zarr) or of particles, by 256 of them.

    prior: ``default``, or the folder of one. seed: of the split.
    companions: what :func:`cryoprior.read_particles` takes beside the path.

    Raises
    ------
    InputError: as ``reconstruct`` raises; a prior that cannot be asked about a part of a measurement.
    """
    measured: Measured
    if path.suffix == ".zarr":
        measured, operator = open_measurements(path)
    else:
        measured = FullImages(read_particles(path, **companions))
        operator = measured.operator
    solver = parse_solver("posterior")
    opened = open_prior(prior, solver, measured.box, device, str(path))
    ways: dict[str, Any] = {
        "contrast": "auto",
        "spectrum": "measured",
        "dtype": "float32",
        "seed": seed,
        "batch": BATCH,
    }
    job = ReconstructionJob(measured, operator, solver, opened, prior, n=measured.n, device=device, **ways)
    return check_prior(job, prior_to_check(job), PARTICLES)


@torch.no_grad()
def check_prior(job: ReconstructionJob, prior: Denoiser, particles: int) -> Check:
    """Return what the prior knows of the job's data set, from at most this many particles, evenly spread over it."""
    measured, sigma = StoredRows(job.measurements, job.device), job.measurements.sigma
    fitted = fit_prior(prior, measured, job.operator, sigma, spectrum=job.spectrum, contrast=job.contrast)
    denoiser, scale = fitted.denoiser, abs(fitted.intensity.scale)
    assert isinstance(denoiser, OperatorAware)
    inside, rows = fitted.intensity.operator(job.operator), spread_rows(job.n, particles, nearest=True)
    parts = []
    for places in track(row_batches(len(rows), job.batch), "check"):
        y, numbers = measured.rows(rows[list(places)])
        inner = fitted.intensity.to_prior(y, job.operator, numbers)
        parts.append(predict_withheld(denoiser, inside, inner, sigma / scale, numbers, job.seed))
    box = job.measurements.box
    signal, noise = denoiser.components(box, y)
    seen, added = _seen(inside, inner, sigma / scale, numbers)
    snr = radial_average(signal.double()) / (radial_average(noise.double()) + added)
    last = box // 2 + 1
    withheld, pixel_size = Withheld.joined(parts), float(job.measurements.pixel_size.mean())
    mixes = as_frequencies(inside, inner, numbers)[0].fourier_diagonal([0]) is None
    check = Check(withheld, seen[:last].cpu(), snr[:last].cpu(), box, pixel_size, mixes)
    (log.info if check.better else log.warning)("check: %s", check.says)
    return check


def _seen(
    operator: Operator, y: Float[Tensor, "b m"], sigma: float, particles: list[int]
) -> tuple[Float[Tensor, " shells"], float]:
    """Return the share of each shell that is measured, and the variance that the measurement adds to a number."""
    frequencies, values = as_frequencies(operator, y, particles)
    measurement = Measurement(frequencies, values, sigma, particles, "check")
    known = measurement.known > 0
    added = float(measurement.deviation.expand_as(known)[known].square().median()) if bool(known.any()) else 0.0
    share = seen_share(frequencies, range(PROBES), y.new_empty(PROBES, operator.box, operator.box)).clamp(0, 1)
    return share.double(), added


def _aware(prior: Denoiser) -> bool:
    denoiser = prior.denoiser if isinstance(prior, Prior) else prior
    return isinstance(denoiser, OperatorAware) and denoiser.operator_aware
