"""From a job to its folder: shards that are missing are made, then merged; the work of two commands."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.executors import Executor, parse_executor, spread
from cryoprior.executors.words import command_words
from cryoprior.output.folder import holds_run, resume_output
from cryoprior.output.record import write_provenance, write_summary
from cryoprior.progress import track
from cryoprior.reconstruction.checking import check_prior, prior_to_check
from cryoprior.reconstruction.files import write_report
from cryoprior.reconstruction.job import ReconstructionJob
from cryoprior.reconstruction.options import Asking, parse_shard
from cryoprior.reconstruction.shards import MAKES, Shards

log = logging.getLogger("cryoprior")


def run_job(
    job: ReconstructionJob, command: str, options: Asking, output: Path, given: Sequence[Path]
) -> dict[str, Any]:
    """Return the summary of a reconstruction, which lies in ``output`` when all shards are there.

    command: the name under which the run is recorded and goes on. given: files and folders that are read.

    Raises
    ------
    InputError: shards to merge that are not there, or that another reconstruction made; images that are not finite.
    """
    inputs = [*given, *([Path(options.prior)] if Path(options.prior).is_dir() else [])]
    identity = {**job.identity(), "n": job.n, "shard_size": options.shard_size}
    if options.merge and not holds_run(output, command, identity):
        raise InputError(f"{output}: no shards of this reconstruction to merge; reconstruct them first")
    checked = prior_to_check(job) if options.check else None
    executor = parse_executor(options.executor)
    with resume_output(
        output,
        command,
        identity,
        makes=MAKES,
        overwrite=options.overwrite,
        inputs=inputs,
        shared=options.shard is not None or options.merge or executor is not None,
    ) as work:
        shards = Shards(work.folder, job.n, options.shard_size)
        pending = shards.pending(*parse_shard(options.shard))
        if options.merge and pending:
            raise InputError(
                f"{output}: {len(pending)} of {len(shards.all())} shards are not there, the first of rows "
                f"{pending[0].start} to {pending[0].stop - 1}; reconstruct them, then merge"
            )
        if executor is not None:
            spread(executor, partial(_task, executor, command, options), shards.left, work.folder, command)
            pending = []
        batches = sum(-(-len(rows) // options.batch) for rows in pending)
        for _ in track(job.write(pending, shards), command, total=batches):
            pass
        marked = "signal" if job.solver.estimate == "signal" else ""
        if not shards.merge(*job.measurements.particles, cs=options.cs, estimate=marked):
            log.info("%s: other shards are still to be done; their last process merges", output)
            return {"finished": False, "shards": len(shards.all())}
        write_provenance(work.folder, command, options, inputs, options.seed)
        beside = os.path.relpath(job.measurements.path.resolve(), work.folder.resolve())
        summary = {**job.summary(shards.records()), f"{job.of}_from_here": beside}
        check = None if checked is None else check_prior(job, checked, options.check_particles)
        if check is not None:
            summary["check"] = check.summary()
        if check is not None or marked:
            write_report(work.folder, job, summary, check)
        write_summary(work.folder, summary)
        work.complete()
    return summary


def _task(executor: Executor, command: str, options: Asking, task: int, tasks: int) -> tuple[str, ...]:
    """Return the command line of one of so many tasks; the check is left to the process that waits for them."""
    return command_words(
        command,
        options,
        shard=f"{task}/{tasks}",
        executor="local",
        check=False,
        threads=options.threads or executor.threads,
        device=executor.device(task, options.device),
    )
