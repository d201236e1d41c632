"""``cryoprior reconstruct``: images from their measurements, shard by shard, resumable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryoprior.options import argument, option, output_option
from cryoprior.reconstruction.options import Asking

if TYPE_CHECKING:
    from cryoprior.reconstruction.job import ReconstructionJob

EXAMPLE = "cryoprior reconstruct y.zarr -o recon/ --solver exact --estimate mean"
NEXT = "cryoprior evaluate {output} --reference particles.star -o report/"


@dataclass(frozen=True)
class Options(Asking):
    measurements: Path = argument("Measurements (.zarr), as `cryoprior measure` writes them.")
    output: Path = output_option("Folder for particles.star and the stacks.")
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


def run(options: Options) -> dict[str, Any]:
    """Return the summary of the images, which lie in shards with their star file."""
    from cryoprior.reconstruction.running import run_job

    return run_job(_open(options), "reconstruct", options, options.output, [options.measurements])


def _open(options: Options) -> ReconstructionJob:
    """Return the job of the options; InputError where its parts do not fit together."""
    from cryoprior.devices import limit_threads
    from cryoprior.measurement.reading import open_measurements
    from cryoprior.reconstruction.choice import choose_solver
    from cryoprior.reconstruction.opening import open_job

    limit_threads(options.threads)
    measurements, operator = open_measurements(options.measurements)
    chosen = {name: getattr(options, name) for name in ("estimate", "steps", "samples", "deviation")}
    solver = choose_solver(options.solver, options.prior, **chosen)
    return open_job(measurements, operator, solver, options, str(options.measurements))
