"""A data set on disk, reconstructed shard by shard: the work of ``cryoprior reconstruct``."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cryoprior.io.rows import row_batches
from cryoprior.io.treatment import PLAIN, image_treatments, one_treatment
from cryoprior.measurement.full_images import FullImages, Measured
from cryoprior.measurement.reading import StoredRows
from cryoprior.operators import Operator
from cryoprior.output.record import file_digest
from cryoprior.prior import Denoiser, Prior
from cryoprior.reconstruction.choice import NOT_TRAINED_ON, suited_prior, trained_on_operator
from cryoprior.reconstruction.overlap import training_overlap, warn_of_overlap
from cryoprior.reconstruction.reconstructor import Reconstructed, Reconstructor, fit_prior, make_reconstructor
from cryoprior.reconstruction.shards import SUMMED, TOTALS, Shards
from cryoprior.solvers import SOLVERS, Solver
from cryoprior.spec import format_spec

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class ReconstructionJob:
    """Measurements, or images as recorded, with the operator, the solver and the prior that fit them.

    prior_name: what the user called the prior. n: particles that are reconstructed, the first ones.
    batch, device: how it computes; they change images by no more than rounding. The others decide the images.
    """

    measurements: Measured
    operator: Operator
    solver: Solver
    prior: Denoiser | None
    prior_name: str
    n: int
    contrast: str
    spectrum: str
    dtype: str
    seed: int
    batch: int
    device: torch.device

    @property
    def of(self) -> str:
        """Return what it is made of, the name under which the summary holds its path."""
        return "images" if isinstance(self.measurements, FullImages) else "measurements"

    def identity(self) -> dict[str, Any]:
        """Return what makes another run the same as this one."""
        return {
            self.of: self.measurements.path.resolve(),
            **self._resizing(),
            "particles_digest": self.measurements.particles_digest,
            "operator_digest": self.measurements.digest,
            "sigma": self.measurements.sigma,
            "noise_seed": self.measurements.seed,
            "solver": format_spec(self.solver, SOLVERS),
            "prior": self._prior_digest(),
            "contrast": self.contrast,
            "spectrum": self.spectrum,
            "dtype": self.dtype,
            "seed": self.seed,
        }

    def write(self, pending: list[range], shards: Shards) -> Iterator[int]:
        """Write the pending shards; yield the number of particles after each batch."""
        if not pending:
            return
        reconstructor, facts = self._reconstructor()
        measured = StoredRows(self.measurements, self.device)
        deviation = getattr(self.solver, "samples", 1) > 1
        for rows in pending:
            start, totals = time.perf_counter(), dict.fromkeys(TOTALS, 0.0)
            pixel_size = float(self.measurements.pixel_size[rows.start])
            with shards.writers(rows, self.measurements.box, pixel_size, deviation=deviation) as writers:
                for reconstructed in reconstructor.batches(measured, row_batches(rows, self.batch)):
                    for writer, images in zip(writers, _images(reconstructed), strict=True):
                        writer.write(images.cpu().float().numpy())
                    totals = {name: totals[name] + value for name, value in reconstructed.totals().items()}
                    yield len(reconstructed.residual)
                shards.write_record(rows, {**totals, "seconds": time.perf_counter() - start, **facts})

    def summary(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        """Return what is worth knowing of the finished run."""
        total = {key: sum(r[key] for r in records) for key in SUMMED}
        return {
            "n": self.n,
            "solver": format_spec(self.solver, SOLVERS),
            "estimate": self.solver.estimate,
            "evaluations": total["evaluations"] / self.n,
            "backward": total["backward"] / self.n,
            "seconds": total["seconds"],
            "seconds_network": total["seconds_network"],
            "residual": total["residual"] / self.n,
            "box": self.measurements.box,
            "operator": self.measurements.operator_spec,
            "compression": self.operator.compression,
            "effective_compression": self.operator.effective_compression,
            "bytes_per_particle": self.measurements.bytes_per_particle,
            "sigma": self.measurements.sigma,
            "intensity": records[0]["intensity"],
            "contrast": records[0]["contrast"],
            self.of: str(self.measurements.path.resolve()),
            **self._resizing(),
            "prior": suited_prior(self.prior_name, self.solver) if self.prior is not None else None,
            **self._overlap(),
            "trained_operator": self._trained_operator(),
            **self._treatment(),
            "device": str(self.device),
            "dtype": self.dtype,
            "finished": True,
        }

    def _reconstructor(self) -> tuple[Reconstructor, dict[str, Any]]:
        """Return the solver with the prior fitted to the whole data set, and what the fit says of it."""
        fitted = None
        if self.prior is not None:
            measured, sigma = StoredRows(self.measurements, self.device), self.measurements.sigma
            fitted = fit_prior(
                self.prior, measured, self.operator, sigma, spectrum=self.spectrum, contrast=self.contrast
            )
            scale, offset = fitted.intensity.scale, fitted.intensity.offset
            log.info("intensity: x = %.6g x' + %.6g; %s", scale, offset, fitted.contrast)
            if fitted.doubt:
                log.warning("%s", fitted.doubt)
        reconstructor = make_reconstructor(
            self.solver, self.operator, fitted, self.measurements.sigma, seed=self.seed, dtype=self.dtype
        )
        contrast = None if fitted is None else fitted.contrast
        return reconstructor, {"intensity": reconstructor.intensity, "contrast": contrast}

    def _resizing(self) -> dict[str, Any]:
        """Return how images as recorded were resized, where they were."""
        done = self.measurements.stack.resizing if isinstance(self.measurements, FullImages) else None
        return {} if done is None else {"resize": done["method"], "original_box": done["original_box"]}

    def _prior_digest(self) -> str | None:
        if not isinstance(self.prior, Prior):
            return None
        weights = sorted(self.prior.path.rglob("*.safetensors"))
        own = [path for path in weights if path == self.prior.path / "model.safetensors"]
        digests = [file_digest(path) for path in own or weights]
        return ",".join(digests) or str(self.prior.path)

    def _overlap(self) -> dict[str, Any]:
        """Return how many of these particles trained the prior, and log a warning where any did."""
        overlap = training_overlap(self.prior, self.measurements[: self.n])
        warn_of_overlap(overlap, self.n, suited_prior(self.prior_name, self.solver))
        return {"trained_on_overlap": overlap.count, "trained_on_known_by": overlap.known_by}

    def _treatment(self) -> dict[str, str]:
        """Return what was done to the images with their CTF, where anything was, and warn if the prior saw others."""
        found = one_treatment(image_treatments(self.measurements.path, *self.measurements.particles))
        trained = self.prior.config.treatment if isinstance(self.prior, Prior) else found
        if found != trained:
            log.warning(
                "%s: its images are %s, those that trained the prior %s; it has never seen such signal and noise",
                *(self.measurements.path, found.replace("_", "-"), trained.replace("_", "-")),
            )
        return {} if found == trained == PLAIN else {"treatment": found, "trained_treatment": trained}

    def _trained_operator(self) -> bool | None:
        """Return whether the prior was trained on this kind of operator, and warn where not; None if not asked."""
        trained = trained_on_operator(self.prior, self.solver, self.operator)
        if trained is False:
            log.warning("%s: %s", self.measurements.operator_spec, NOT_TRAINED_ON)
        return trained


def _images(reconstructed: Reconstructed) -> list[Tensor]:
    solution = reconstructed.solution
    return [solution.x] if solution.deviation is None else [solution.x, solution.deviation]
