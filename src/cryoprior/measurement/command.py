"""``cryoprior measure``: a few numbers of every particle, with the noise of the measurement, in batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryoprior.errors import InputError
from cryoprior.io import MeasurementsWriter, ParticleStack, check_images, read_particles
from cryoprior.io.rows import row_batches
from cryoprior.options import argument, check_options, option
from cryoprior.output.record import write_provenance, write_summary
from cryoprior.progress import track

if TYPE_CHECKING:
    from cryoprior.operators import Operator


@dataclass(frozen=True)
class Options:
    particles: Path = argument("Particles: .star, .cs, .mrcs, .mrc, or a .txt list of stacks.")
    output: Path = option("Where the measurements go, a folder that ends in .zarr.", flags=("-o", "--output"))
    operator: str = option("What is measured: name:field=value,... (cryoprior list names them).")
    box: int | None = option("Resize the images to this many pixels a side first.", None, minimum=2)
    resize: str = option("How images are resized.", "fourier", choices=("fourier", "bicubic"))
    sigma: float = option("Standard deviation of the noise added to each number, in grey values.", 0.0, minimum=0)
    seed: int = option("Seed of the noise, and of the masks where the operator names none.", 0)
    limit: int | None = option("Measure the first particles only.", None, minimum=1)
    dtype: str = option("Type on disk; float16 keeps the rounding in sigma.", "float32", choices=("float32", "float16"))
    pixel_size: float | None = option("Pixel size in angstrom, where the file gives none or a wrong one.", None)
    poses: Path | None = option("cryoDRGN poses.pkl, beside a bare stack.", None)
    ctf: Path | None = option("cryoDRGN ctf.pkl, beside a bare stack.", None)
    ind: Path | None = option("Pickle of the indices of the particles to keep.", None)
    datadir: Path | None = option("Folder to find the image stacks in.", None)
    batch: int = option("Particles in memory at a time.", 256, minimum=1)
    device: str = option("Where to compute.", "cpu", choices=("cpu", "cuda"))
    overwrite: bool = option("Replace an output in use.", False)

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    from cryoprior.measurement.files import block_baseline, measurement_header, measurement_summary
    from cryoprior.operators import parse_operator

    _check_device(options.device)
    stack = _read(options)
    operator = parse_operator(options.operator, box=stack.box, seed=options.seed)
    header = measurement_header(stack, operator, options.particles, options.sigma, options.seed)
    baseline = block_baseline(operator) if options.dtype == "float16" else None
    particles = (stack.table, stack.optics, stack.index)
    writer = MeasurementsWriter(
        options.output, header, *particles, dtype=options.dtype, baseline=baseline, overwrite=options.overwrite
    )
    with writer:
        _measure(stack, operator, writer, options)
        summary = measurement_summary(stack, operator, header, writer)
        given = (options.particles, options.poses, options.ctf, options.ind)
        write_provenance(writer.folder, "measure", options, [path for path in given if path], options.seed)
        write_summary(writer.folder, summary)
    return summary


def _read(options: Options) -> ParticleStack:
    stack = read_particles(
        options.particles,
        pixel_size=options.pixel_size,
        poses=options.poses,
        ctf=options.ctf,
        ind=options.ind,
        datadir=options.datadir,
    )
    if options.box is not None:
        stack = stack.resized(options.box, options.resize)
    return stack.subset(slice(options.limit)) if options.limit is not None else stack


def _measure(stack: ParticleStack, operator: Operator, writer: MeasurementsWriter, options: Options) -> None:
    """Write the measurements of all particles, batch by batch."""
    import torch

    from cryoprior.measurement.measuring import measure

    batches = row_batches(stack.n, options.batch)
    for places in track(batches, "measuring", len(batches)):
        images = stack.read(places)
        check_images(images, stack, places)
        x = torch.from_numpy(images).to(options.device)
        writer.write(measure(x, operator, options.sigma, options.seed, stack.index[places]).cpu().numpy())


def _check_device(device: str) -> None:
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("<device=cuda>: no accelerator that torch can use; expected one; leave <device> out")
