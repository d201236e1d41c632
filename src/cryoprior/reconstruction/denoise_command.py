"""``cryoprior denoise``: the signal of recorded particles, that nobody compressed, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.options import ParticleFiles, argument, option, output_option
from cryoprior.reconstruction.options import Asking

EXAMPLE = "cryoprior denoise particles.star -o denoised/ --box 64"
NEXT = "cryoprior evaluate {output} --reference particles.star -o report/"


@dataclass(frozen=True)
class Options(ParticleFiles, Asking):
    particles: Path = argument("Particles: .star, .cs, .mrcs, .mrc, or a .txt list of stacks.")
    output: Path = output_option("Folder for particles.star, the stacks and their deviation.")
    box: int | None = option("Resize the images to this many pixels a side first.", None, minimum=2)
    resize: str = option("How images are resized.", "fourier", choices=("fourier", "bicubic"))
    solver: str = option(
        "Solver as text, one that has a signal: posterior, exact:steps=25, gaussian. auto takes posterior for a prior "
        "that knows operators, exact otherwise.",
        "auto",
    )
    steps: int | None = option("Network evaluations of the signal.", None, minimum=1)
    samples: int | None = option(
        "Samples for the deviation: 4 unless told; 1 leaves the deviation out.", None, minimum=1
    )


def run(options: Options) -> dict[str, Any]:
    """Return the summary of the signals, which lie in shards with their star file and their deviation."""
    from cryoprior.devices import limit_threads
    from cryoprior.io import read_particles
    from cryoprior.measurement.full_images import FullImages
    from cryoprior.reconstruction.choice import choose_signal_solver
    from cryoprior.reconstruction.opening import open_job
    from cryoprior.reconstruction.running import run_job

    limit_threads(options.threads)
    solver = choose_signal_solver(options.solver, options.prior, steps=options.steps, samples=options.samples)
    stack = read_particles(options.particles, **options.companions)
    if options.box is not None:
        stack = stack.resized(options.box, options.resize)
    images = FullImages(stack)
    job = open_job(images, images.operator, solver, options, str(options.particles))
    given = [options.particles, *options.companion_files, *stack.files]
    return run_job(job, "denoise", options, options.output, given)
