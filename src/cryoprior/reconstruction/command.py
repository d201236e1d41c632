"""``cryoprior reconstruct``: images from their measurements, shard by shard, resumable."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryoprior.errors import InputError
from cryoprior.options import (
    COMPUTING,
    INPUT,
    OUTPUT,
    Computing,
    argument,
    check_options,
    option,
    output_option,
    overwrite_option,
)
from cryoprior.output.folder import holds_run, resume_output
from cryoprior.output.record import write_provenance, write_summary
from cryoprior.progress import track

if TYPE_CHECKING:
    from cryoprior.reconstruction.job import ReconstructionJob

log = logging.getLogger("cryoprior")


EXAMPLE = "cryoprior reconstruct y.zarr -o recon/ --solver exact --estimate mean"
NEXT = "cryoprior evaluate {output} --reference particles.star -o report/"


@dataclass(frozen=True)
class Options(Computing):
    measurements: Path = argument("Measurements (.zarr), as `cryoprior measure` writes them.")
    output: Path = output_option("Folder for particles.star and the stacks.")
    prior: str = option(
        "The embedded prior that suits the solver (default), one of the two (operator-aware), or the folder of one.",
        "default",
        group=INPUT,
    )
    solver: str = option(
        "Solver as text: exact:steps=25, least-squares, ...; `cryoprior list` has the names. auto takes posterior for "
        "the mean of a prior that knows operators, exact otherwise.",
        "auto",
    )
    estimate: str | None = option(
        "Posterior mean, one posterior sample, or the signal: the particle without its noise, with a deviation.",
        None,
        choices=("mean", "sample", "signal"),
    )
    steps: int | None = option("Network evaluations of the mean, or of each sample.", None, minimum=1)
    samples: int | None = option(
        "Samples for the deviation, which is written for 2 or more; a signal has 4 unless told.", None, minimum=1
    )
    deviation: bool = option("Write the deviation, of --samples or 8 samples.", False)
    contrast: str = option("Sign of the particles; auto looks at them.", "auto", choices=("auto", "bright", "dark"))
    spectrum: str = option(
        "Power spectrum of the images: that of the measurements at hand, or the prior's.",
        "measured",
        choices=("measured", "prior"),
    )
    limit: int | None = option("Reconstruct the first particles only.", None, minimum=1)
    seed: int = option("Seed of the random draws; each particle has its own stream.", 0)
    cs: bool = option("Write particles.cs too, for cryoSPARC.", False, group=OUTPUT)
    shard_size: int = option("Particles per stack.", 1000, minimum=1, group=OUTPUT)
    shard: str | None = option(
        "I/N: do every Nth shard from the Ith, counted from 0; the last process merges.", None, group=COMPUTING
    )
    merge: bool = option(
        "Merge shards that are all there, and reconstruct none: where the process that was to merge them died.",
        False,
        group=COMPUTING,
    )
    executor: str = option("Where shards run.", "local", choices=("local",), group=COMPUTING)
    batch: int = option("Particles at a time; results do not depend on it.", 16, minimum=1, group=COMPUTING)
    dtype: str = option("Precision of the network.", "float32", choices=("float32", "bfloat16"), group=COMPUTING)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        check_options(self)
        parse_shard(self.shard)
        if self.shard is not None and self.overwrite:
            raise InputError("<overwrite> with <shard>: processes would delete each other's work; delete the folder")
        if self.merge and (self.shard is not None or self.overwrite):
            other = "overwrite" if self.overwrite else "shard"
            raise InputError(f"<merge> with <{other}>: merging reconstructs nothing; leave one of them out")


def run(options: Options) -> dict[str, Any]:
    from cryoprior.reconstruction.shards import MAKES, Shards

    job = _open(options)
    inputs = [options.measurements, *([Path(options.prior)] if Path(options.prior).is_dir() else [])]
    identity = {**job.identity(), "n": job.n, "shard_size": options.shard_size}
    if options.merge and not holds_run(options.output, "reconstruct", identity):
        raise InputError(f"{options.output}: no shards of this reconstruction to merge; reconstruct them first")
    with resume_output(
        options.output,
        "reconstruct",
        identity,
        makes=MAKES,
        overwrite=options.overwrite,
        inputs=inputs,
        shared=options.shard is not None or options.merge,
    ) as work:
        shards = Shards(work.folder, job.n, options.shard_size)
        pending = shards.pending(*parse_shard(options.shard))
        if options.merge and pending:
            raise InputError(
                f"{options.output}: {len(pending)} of {len(shards.all())} shards are not there, the first of rows "
                f"{pending[0].start} to {pending[0].stop - 1}; reconstruct them, then merge"
            )
        batches = sum(-(-len(rows) // options.batch) for rows in pending)
        for _ in track(job.write(pending, shards), "reconstruct", total=batches):
            pass
        marked = "signal" if job.solver.estimate == "signal" else ""
        if not shards.merge(*job.measurements.particles, cs=options.cs, estimate=marked):
            log.info("%s: other shards are still to be done; their last process merges", options.output)
            return {"finished": False, "shards": len(shards.all())}
        write_provenance(work.folder, "reconstruct", options, inputs, options.seed)
        beside = os.path.relpath(options.measurements.resolve(), work.folder.resolve())
        summary = {**job.summary(shards.records()), "measurements_from_here": beside}
        write_summary(work.folder, summary)
        work.complete()
    return summary


def _open(options: Options) -> ReconstructionJob:
    """Return the job of the options; InputError where its parts do not fit together."""
    from cryoprior.devices import choose_device, limit_threads
    from cryoprior.measurement.reading import open_measurements
    from cryoprior.reconstruction.choice import choose_solver, open_prior
    from cryoprior.reconstruction.job import ReconstructionJob

    limit_threads(options.threads)
    measurements, operator = open_measurements(options.measurements)
    chosen = {name: getattr(options, name) for name in ("estimate", "steps", "samples", "deviation")}
    solver, device = choose_solver(options.solver, options.prior, **chosen), choose_device(options.device)
    decisive = {name: getattr(options, name) for name in ("contrast", "spectrum", "dtype", "seed", "batch")}
    return ReconstructionJob(
        measurements,
        operator,
        solver,
        open_prior(options.prior, solver, measurements.box, device, str(options.measurements)),
        options.prior,
        n=min(measurements.n, options.limit or measurements.n),
        device=device,
        **decisive,
    )


def parse_shard(text: str | None) -> tuple[int, int]:
    """Return (I, N) of ``I/N``, (0, 1) for None; InputError unless 0 <= I < N."""
    if text is None:
        return 0, 1
    first, _, step = text.partition("/")
    if not (first.isdecimal() and step.isdecimal() and int(first) < int(step)):
        raise InputError(f"<shard> {text!r}: expected I/N with I from 0 to N - 1, for example 0/4")
    return int(first), int(step)
