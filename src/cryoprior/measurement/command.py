"""``cryoprior measure``: a few numbers per particle, with the noise of the measurement, in batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.options import (
    COMPUTING,
    OUTPUT,
    Computing,
    ParticleFiles,
    argument,
    check_options,
    option,
    output_option,
    overwrite_option,
)

EXAMPLE = (
    "cryoprior measure particles.star -o y.zarr --box 64 \\\n    --operator pixel:block=16,masks=192,rows=hadamard"
)
NEXT = "cryoprior reconstruct {output} -o recon/"


@dataclass(frozen=True)
class Options(ParticleFiles, Computing):
    particles: Path = argument("Particles: .star, .cs, .mrcs, .mrc, or a .txt list of stacks.")
    output: Path = output_option("Folder of the measurements, its name ending in .zarr.")
    operator: str = option("What is measured, as text: name:field=value,...; `cryoprior list` has the names.")
    box: int | None = option("Resize the images to this many pixels a side first.", None, minimum=2)
    resize: str = option("How images are resized.", "fourier", choices=("fourier", "bicubic"))
    sigma: float = option("Standard deviation of the noise added to each number, in grey values.", 0.0, minimum=0)
    dose: float | None = option(
        "Count electrons in place of adding noise: per square angstrom, of all exposures of a particle together; each "
        "mask is an exposure. For clean particles.",
        None,
    )
    readout: float = option(
        "With a dose: deviation of the noise that reading one number adds, in electrons.", 0.0, minimum=0
    )
    contrast: float = option("With a dose: deviation of the clean images over their mean intensity.", 0.1)
    seed: int = option("Seed of the noise, and of the masks where the operator names none.", 0)
    limit: int | None = option("Measure the first particles only.", None, minimum=1)
    dtype: str = option(
        "Type of the numbers on disk; the rounding of float16 counts as noise.",
        "float32",
        choices=("float32", "float16"),
        group=OUTPUT,
    )
    compressor: str = option(
        "Compress the numbers without loss, as zarr does. Noise hardly shrinks; packed bits and sums do a little.",
        "none",
        choices=("none", "gzip", "zstd"),
        group=OUTPUT,
    )
    batch: int = option("Particles in memory at a time.", 256, minimum=1, group=COMPUTING)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        check_options(self)
        if self.dose is not None and self.sigma > 0:
            raise InputError("<dose> and <sigma> are both given; expected one of them; leave one out")
        if self.dose is None and self.readout > 0:
            raise InputError("<readout> without <dose>: nothing counts electrons; pass <dose>, or leave it out")


def run(options: Options) -> dict[str, Any]:
    """Return the summary of measurements, which lie in a folder of their own with the particles' star file."""
    from cryoprior.devices import choose_device, limit_threads
    from cryoprior.io import MeasurementsWriter, read_particles
    from cryoprior.measurement.files import (
        block_baseline,
        dose_of_stack,
        fitted_to_stack,
        measurement_header,
        measurement_summary,
        numbers_of_dose,
        numbers_with_noise,
        rounding_encoder,
        write_measured,
    )
    from cryoprior.operators import parse_operator
    from cryoprior.output.folder import claim_output
    from cryoprior.output.record import write_provenance, write_summary

    limit_threads(options.threads)
    device = choose_device(options.device)
    stack = read_particles(options.particles, **options.companions)
    if options.box is not None:
        stack = stack.resized(options.box, options.resize)
    stack = stack.subset(slice(options.limit))
    operator = parse_operator(options.operator, box=stack.box, seed=options.seed)
    if operator.bits is not None and options.dtype != "float32":
        raise InputError(
            f"<dtype> {options.dtype} with bits={operator.bits}: its numbers are packed; leave <dtype> out"
        )
    dose, sigma = None, options.sigma
    if options.dose is not None:
        dose = dose_of_stack(stack, options.dose, options.readout, options.contrast)
        sigma = dose.sigma(operator)
        numbers = numbers_of_dose(operator, dose, options.seed)
    else:
        numbers = numbers_with_noise(operator, sigma, options.seed)
    operator = fitted_to_stack(stack, operator, numbers)
    header = measurement_header(stack, operator, options.particles, sigma, options.seed)
    baseline = block_baseline(operator) if options.dtype == "float16" else None
    particles, digests = (stack.table, stack.optics, stack.index), 1 if stack.resizing is None else 2
    given = [options.particles, *options.companion_files]
    with claim_output(options.output, "measure", overwrite=options.overwrite, inputs=[*given, *stack.files]) as folder:
        with MeasurementsWriter(
            folder,
            header,
            *particles,
            dtype=options.dtype,
            baseline=baseline,
            encoder=rounding_encoder(operator),
            digests=digests,
            compressor=options.compressor,
        ) as writer:
            write_measured(writer, stack, numbers, options.batch, device)
        summary = measurement_summary(stack, operator, header, writer, dose)
        write_provenance(folder, "measure", options, given, options.seed)
        write_summary(folder, summary)
    return summary
