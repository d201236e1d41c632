"""``cryoprior reconstruct``: images from their measurements, shard by shard, resumable."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cryoprior.devices import choose_device
from cryoprior.errors import InputError
from cryoprior.io import Measurements
from cryoprior.measurement.intensity import contrast_doubt
from cryoprior.measurement.reading import calibration_sample, open_measurements
from cryoprior.operators import Operator
from cryoprior.options import argument, check_options, option
from cryoprior.output.record import file_digest, write_provenance, write_summary
from cryoprior.prior import Prior, load_prior
from cryoprior.prior.calibration import Calibration, calibrate
from cryoprior.progress import track
from cryoprior.reconstruction.choice import SAMPLES_FOR_DEVIATION, choose_solver, suited_prior
from cryoprior.reconstruction.reconstructor import Reconstructor
from cryoprior.reconstruction.shards import ShardedOutput
from cryoprior.solvers import SOLVERS, Solver
from cryoprior.spec import format_spec

TOTALS = ("evaluations", "backward", "seconds_network", "residual")
"""What the records of shards sum over particles."""

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class Options:
    measurements: Path = argument("Measurements (.zarr), as cryoprior measure writes them.")
    output: Path = option("Folder for particles.star and the stacks.", flags=("-o", "--output"))
    prior: str = option(
        "The embedded prior that suits the solver (default), one of the two (operator-aware), or the folder of one.",
        "default",
    )
    solver: str = option(
        "Solver as text: exact:steps=25, least-squares, ... (cryoprior list names them); auto takes posterior for the "
        "mean of a prior that knows operators, exact otherwise.",
        "auto",
    )
    estimate: str | None = option("Posterior mean, or one posterior sample.", None, choices=("mean", "sample"))
    steps: int | None = option("Network evaluations of the mean, or of each sample.", None, minimum=1)
    samples: int | None = option("Samples for the deviation, which is written above 1.", None, minimum=1)
    deviation: bool = option(f"Write the deviation, of --samples or {SAMPLES_FOR_DEVIATION} samples.", False)
    contrast: str = option("Sign of the particles; auto looks at them.", "auto", choices=("auto", "bright", "dark"))
    spectrum: str = option(
        "Power spectrum of the images: that of the measurements at hand, or the prior's.",
        "measured",
        choices=("measured", "prior"),
    )
    shard_size: int = option("Particles a stack.", 1000, minimum=1)
    shard: str | None = option("I/N: do every Nth shard from the Ith, counted from 0; the last process merges.", None)
    executor: str = option("Where shards run.", "local", choices=("local",))
    batch: int = option("Particles at a time; results do not depend on it.", 16, minimum=1)
    device: str = option("Where to compute: auto, cpu, cuda or cuda:1.", "auto")
    dtype: str = option("Precision of the network.", "float32", choices=("float32", "bfloat16"))
    limit: int | None = option("Reconstruct the first particles only.", None, minimum=1)
    threads: int | None = option("Processor threads; all by default.", None, minimum=1)
    seed: int = option("Seed of the random draws; each particle has its own stream.", 0)
    overwrite: bool = option("Replace an earlier reconstruction.", False)

    def __post_init__(self) -> None:
        check_options(self)
        parse_shard(self.shard)
        if self.shard is not None and self.overwrite:
            raise InputError("<overwrite> with <shard>: processes would delete each other's work; delete the folder")


def run(options: Options) -> dict[str, Any]:
    job = ReconstructionJob.open(options)
    output = job.output()
    output.claim(overwrite=options.overwrite)
    first, step = parse_shard(options.shard)
    pending = output.pending(first, step)
    batches = sum(-(-len(rows) // options.batch) for rows in pending)
    for _ in track(job.reconstruct(pending, output), "reconstruct", total=batches):
        pass
    if not output.merge(*job.measurements.particles):
        log.info("%s: other shards are still to be done; their last process merges", options.output)
        return {"finished": False, "shards": len(output.shards())}
    inputs = [options.measurements, *([Path(options.prior)] if Path(options.prior).is_dir() else [])]
    write_provenance(options.output, "reconstruct", options, inputs, options.seed)
    summary = job.summary(output.records())
    write_summary(options.output, summary)
    return summary


@dataclass(frozen=True)
class ReconstructionJob:
    """Measurements with the operator, the solver and the prior that fit them."""

    options: Options
    measurements: Measurements
    operator: Operator
    solver: Solver
    prior: Prior | None
    device: torch.device

    @classmethod
    def open(cls, options: Options) -> ReconstructionJob:
        """Return the job; InputError where its parts do not fit together."""
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        measurements, operator = open_measurements(options.measurements)
        chosen = {name: getattr(options, name) for name in ("estimate", "steps", "samples", "deviation")}
        solver, device = choose_solver(options.solver, options.prior, **chosen), choose_device(options.device)
        prior = load_prior(suited_prior(options.prior, solver), device) if solver.needs_prior else None
        if prior is not None and prior.boxes and measurements.box not in prior.boxes:
            boxes = ", ".join(map(str, prior.boxes))
            raise InputError(
                f"{options.measurements}: images of box {measurements.box}; prior {options.prior!r} knows {boxes}; "
                "measure with <box> at one of these, or pass another <prior>"
            )
        return cls(options, measurements, operator, solver, prior, device)

    @property
    def n(self) -> int:
        """Return how many particles are reconstructed."""
        return min(self.measurements.n, self.options.limit or self.measurements.n)

    def output(self) -> ShardedOutput:
        """Return the output folder, with what makes another run the same as this one."""
        options, measurements = self.options, self.measurements
        identity = {
            "measurements": options.measurements.resolve(),
            "particles_digest": measurements.particles_digest,
            "operator_digest": measurements.digest,
            "sigma": measurements.sigma,
            "noise_seed": measurements.seed,
            "solver": format_spec(self.solver, SOLVERS),
            "prior": self._prior_digest(),
            "contrast": options.contrast,
            "spectrum": options.spectrum,
            "dtype": options.dtype,
            "seed": options.seed,
        }
        return ShardedOutput(options.output, identity, self.n, options.shard_size)

    def reconstruct(self, pending: list[range], output: ShardedOutput) -> Iterator[int]:
        """Write the shards; yield the number of particles after each batch."""
        if not pending:
            return
        calibration = self.calibration()
        autocast = torch.bfloat16 if self.options.dtype == "bfloat16" else None
        denoiser = calibration.denoiser if calibration is not None else None
        intensity = calibration.intensity if calibration is not None else None
        sigma, seed = self.measurements.sigma, self.options.seed
        reconstructor = Reconstructor(self.solver, self.operator, denoiser, intensity, sigma, seed, autocast=autocast)
        facts = {"intensity": intensity, "contrast": calibration.contrast if calibration is not None else None}
        for rows in pending:
            start, totals = time.perf_counter(), dict.fromkeys(TOTALS, 0.0)
            pixel_size = float(self.measurements.pixel_size[rows.start])
            with output.writers(rows, self.measurements.box, pixel_size, deviation=self._has_deviation()) as writers:
                for places in _batches(rows, self.options.batch):
                    reconstructed = reconstructor.reconstruct(*self._batch(places))
                    self._check_finite(reconstructed.solution.x, places)
                    for writer, images in zip(writers, _images(reconstructed.solution), strict=True):
                        writer.write(images.cpu().float().numpy())
                    totals = {name: totals[name] + value for name, value in reconstructed.totals().items()}
                    yield len(places)
                output.write_record(rows, {**totals, "seconds": time.perf_counter() - start, **facts})

    def calibration(self) -> Calibration | None:
        """Return the prior fitted to the data, from a fixed sample of the whole stack."""
        if self.prior is None:
            return None
        options = self.options
        y, particles = self._batch(calibration_sample(self.measurements.n))
        with torch.inference_mode():
            found = calibrate(
                y,
                self.operator,
                self.prior.denoiser,
                self.measurements.sigma,
                particles,
                spectrum=options.spectrum == "measured",
                contrast=options.contrast,
            )
        log.info("intensity: x = %.6g x' + %.6g; %s", found.intensity.scale, found.intensity.offset, found.contrast)
        doubt = contrast_doubt(found.contrast, self.operator, y, particles)
        if doubt:
            log.warning("%s", doubt)
        return found

    def summary(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        """Return what is worth knowing of the finished run."""
        total = {key: sum(r[key] for r in records) for key in ("seconds", *TOTALS)}
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
            "sigma": self.measurements.sigma,
            "intensity": records[0]["intensity"],
            "contrast": records[0]["contrast"],
            "measurements": str(self.options.measurements.resolve()),
            "prior": suited_prior(self.options.prior, self.solver) if self.prior is not None else None,
            "trained_on_overlap": self._overlap(),
            "trained_operator": self._trained_operator(),
            "device": str(self.device),
            "dtype": self.options.dtype,
            "finished": True,
        }

    def _prior_digest(self) -> str | None:
        if self.prior is None:
            return None
        weights = self.prior.path / "model.safetensors"
        return file_digest(weights) if weights.is_file() else str(self.prior.path)

    def _overlap(self) -> int:
        """Return how many of these particles trained the prior, and say so loudly."""
        if self.prior is None:
            return 0
        trained = self.prior.config.trained_on.get(self.measurements.particles_digest, [])
        overlap = int(np.isin(self.measurements.particle_index[: self.n], trained).sum())
        if overlap:
            log.warning(
                "%d of %d particles TRAINED this prior: judge nothing by them; use held-out ones", overlap, self.n
            )
        return overlap

    def _trained_operator(self) -> bool | None:
        """Return whether the prior was trained on this kind of operator, and warn where not; None if not asked."""
        family = self.prior.config.family if self.prior is not None else None
        if family is None or not isinstance(self.solver, SOLVERS["posterior"]):
            return None
        known = family.knows(self.operator)
        if not known:
            log.warning(
                "%s: this prior was not trained on such measurements; its answer is an extrapolation",
                self.measurements.operator_spec,
            )
        return known

    def _batch(self, places: range | np.ndarray) -> tuple[Tensor, list[int]]:
        rows = np.asarray(places)
        y = self.measurements.y(rows)
        bad = ~np.isfinite(y).all(axis=1)
        if bad.any():
            raise InputError(
                f"{self.options.measurements}: row {int(rows[bad][0])} holds values that are not finite; "
                "expected numbers; leave this particle out and measure again"
            )
        return torch.from_numpy(y).to(self.device), [int(p) for p in self.measurements.particle_index[rows]]

    def _check_finite(self, x: Tensor, places: range) -> None:
        if not bool(torch.isfinite(x).all()):
            raise InputError(
                f"{self.options.measurements}: images of rows {places.start} to {places.stop - 1} are not finite with "
                f"{format_spec(self.solver, SOLVERS)}; expected numbers; choose smaller steps or another solver"
            )

    def _has_deviation(self) -> bool:
        return getattr(self.solver, "samples", 1) > 1


def parse_shard(text: str | None) -> tuple[int, int]:
    """Return (I, N) of ``I/N``, (0, 1) for None; InputError unless 0 <= I < N."""
    if text is None:
        return 0, 1
    first, _, step = text.partition("/")
    if not (first.isdecimal() and step.isdecimal() and int(first) < int(step)):
        raise InputError(f"<shard> {text!r}: expected I/N with I from 0 to N - 1, for example 0/4")
    return int(first), int(step)


def _batches(rows: range, size: int) -> list[range]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _images(solution: Any) -> list[Tensor]:
    return [solution.x] if solution.deviation is None else [solution.x, solution.deviation]
