"""``cryoprior measure``: a few numbers of every particle, with the noise of the measurement, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cryoprior.errors import InputError
from cryoprior.io import Baseline, MeasurementHeader, MeasurementsWriter, ParticleStack, check_images, read_particles
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
    from cryoprior.operators import parse_operator

    _check_device(options.device)
    stack = _read(options)
    operator = parse_operator(options.operator, box=stack.box, seed=options.seed)
    header = _header(options, stack, operator)
    writer = MeasurementsWriter(
        options.output,
        header,
        stack.table,
        stack.optics,
        stack.index,
        dtype=options.dtype,
        baseline=_baseline(operator) if options.dtype == "float16" else None,
        overwrite=options.overwrite,
    )
    with writer:
        batches = list(_batches(stack.n, options.batch))
        for places in track(batches, "measuring", len(batches)):
            images = stack.read(places)
            check_images(images, stack, places)
            writer.write(_measure(images, stack.index[places], operator, options))
        summary = _summary(stack, operator, header, writer)
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


def _measure(images: np.ndarray, particles: np.ndarray, operator: Operator, options: Options) -> np.ndarray:
    import torch

    from cryoprior.random import ParticleNoise

    ids = [int(i) for i in particles]
    y = operator.forward(torch.from_numpy(images).to(options.device), ids)
    if options.sigma > 0:
        noise = ParticleNoise(options.seed, "measure", ids).normal_like(y)
        y = y + options.sigma * noise * torch.from_numpy(_measured(operator, ids)).to(y)
    return np.asarray(y.cpu().numpy(), np.float32)


def _measured(operator: Operator, particles: list[int]) -> np.ndarray:
    """Return 1 for the numbers that measure something, 0 for those that pad a smaller mask set, (b, m)."""
    if operator.sets == 1 or not operator.linear:
        return np.ones((len(particles), operator.m), np.float32)
    return np.stack([_measured_by_set(operator, particle % operator.sets) for particle in particles])


@lru_cache(maxsize=1024)
def _measured_by_set(operator: Operator, index: int) -> np.ndarray:
    import torch

    from cryoprior.random import numpy_stream

    probe = numpy_stream(0, "measure/probe").standard_normal((1, operator.box, operator.box)).astype(np.float32)
    return np.asarray(operator.forward(torch.from_numpy(probe), [index])[0].numpy() != 0, np.float32)


def _baseline(operator: Operator) -> Baseline:
    """Return what float16 removes first: how each number sees the level of its block, or of the image."""
    import torch

    box, block = operator.box, getattr(operator, "block", operator.box)
    blocks = np.arange((box // block) ** 2, dtype=np.float64).reshape(box // block, box // block)
    number = np.kron(blocks, np.ones((block, block)))
    ones = torch.ones(1, box, box, dtype=torch.float64)
    weights, group = np.zeros((operator.sets, operator.m), np.float32), np.zeros(operator.m, np.int32)
    for index in range(operator.sets):
        weight = operator.forward(ones, [index])[0].numpy()
        sums = operator.forward(torch.from_numpy(number)[None], [index])[0].numpy()
        seen = np.abs(weight) > 1e-9
        weights[index] = np.where(seen, weight, 0)
        if block != box:
            group[seen] = np.rint(sums[seen] / weight[seen])
    return Baseline(group, weights)


def _header(options: Options, stack: ParticleStack, operator: Operator) -> MeasurementHeader:
    from cryoprior.operators import format_operator

    return MeasurementHeader(
        m=operator.m,
        box=stack.box,
        operator=format_operator(operator),
        digest=operator.digest(),
        sigma=options.sigma,
        seed=options.seed,
        source=str(options.particles.resolve()),
        particles_digest=stack.digest(),
        resize=stack.resizing,
    )


def _summary(
    stack: ParticleStack, operator: Operator, header: MeasurementHeader, writer: MeasurementsWriter
) -> dict[str, Any]:
    return {
        "n": stack.n,
        "box": stack.box,
        "pixel_size_angstrom": sorted({round(float(size), 6) for size in stack.pixel_size}),
        "operator": header.operator,
        "m": operator.m,
        "compression": operator.compression,
        "effective_compression": operator.effective_compression,
        "rank": operator.rank,
        "condition": operator.condition,
        "stored": operator.stored,
        "digest": header.digest,
        "sigma": header.sigma,
        "rounding": writer.rounding,
        "seed": header.seed,
        "source": header.source,
    }


def _batches(n: int, batch: int) -> Iterator[range]:
    for start in range(0, n, batch):
        yield range(start, min(start + batch, n))


def _check_device(device: str) -> None:
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("<device=cuda>: no accelerator that torch can use; expected one; leave <device> out")
