"""``cryoprior convert``: particles of any format as RELION 3.1 star and one stack, resampled and split on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cryoprior.errors import InputError
from cryoprior.io import ParticleStack, StackWriter, check_images, read_particles, write_star
from cryoprior.io.formats.columns import IMAGE_NAME
from cryoprior.options import argument, check_options, option
from cryoprior.output.folder import claim_output
from cryoprior.output.record import write_provenance, write_summary
from cryoprior.progress import track

WHOLE, TRAIN, VALIDATION = "particles", "train", "validation"
STACK = f"{WHOLE}.mrcs"


@dataclass(frozen=True)
class Options:
    particles: Path = argument("Particles: .star, .cs, .mrcs, .mrc, or a .txt list of stacks.")
    output: Path = option("Folder for particles.star and its stack.", flags=("-o", "--output"))
    box: int | None = option("Resize the images to this many pixels a side.", None, minimum=2)
    resize: str = option("How images are resized.", "fourier", choices=("fourier", "bicubic"))
    split: float | None = option(
        "Write train.star and validation.star too: the share of the first (0.8), or how many it holds (105519).", None
    )
    seed: int = option("Seed of the split; `train --validation` of the rest parts particles.star alike.", 0, minimum=0)
    limit: int | None = option("Convert the first particles only.", None, minimum=1)
    pixel_size: float | None = option("Pixel size in angstrom, where the file gives none or a wrong one.", None)
    poses: Path | None = option("cryoDRGN poses.pkl, beside a bare stack.", None)
    ctf: Path | None = option("cryoDRGN ctf.pkl, beside a bare stack.", None)
    ind: Path | None = option("Pickle of the indices of the particles to keep.", None)
    datadir: Path | None = option("Folder to find the image stacks in.", None)
    batch: int = option("Particles in memory at a time.", 256, minimum=1)
    overwrite: bool = option("Replace an output in use.", False)

    def __post_init__(self) -> None:
        check_options(self)
        share = self.split is not None and 0 < self.split < 1
        count = self.split is not None and self.split >= 2 and self.split == int(self.split)
        if self.split is not None and not (share or count):
            raise InputError(f"<split> {self.split:g}: expected a share between 0 and 1, or a number of at least 2")

    @property
    def inputs(self) -> list[Path]:
        """Return all files that are read, stacks that a star file names apart."""
        return [path for path in (self.particles, self.poses, self.ctf, self.ind) if path is not None]


def run(options: Options) -> dict[str, Any]:
    """Return the summary of a folder that holds the particles as one stack, a star file, and one for each part."""
    _check_apart(options)
    stack = _read(options)
    parts = _parts(options, stack)
    with claim_output(options.output, overwrite=options.overwrite) as folder:
        _write_images(folder / STACK, stack, options.batch)
        table = stack.table.assign(**{IMAGE_NAME: [f"{row + 1:06d}@{STACK}" for row in range(stack.n)]})
        for name, rows in parts.items():
            write_star(folder / f"{name}.star", table.iloc[rows], stack.optics)
        summary = _summary(options, stack, parts)
        write_provenance(folder, "convert", options, options.inputs, options.seed)
        write_summary(folder, summary)
    return summary


def _check_apart(options: Options) -> None:
    """Refuse an output folder that holds what is read: replacing it would delete the particles."""
    for path in options.inputs:
        if options.output.resolve() in path.resolve().parents:
            raise InputError(f"{options.output}: the output holds {path}, which is read; pass another <output>")


def _read(options: Options) -> ParticleStack:
    companions = {name: getattr(options, name) for name in ("pixel_size", "poses", "ctf", "ind", "datadir")}
    stack = read_particles(options.particles, **companions)
    if options.box is not None:
        stack = stack.resized(options.box, options.resize)
    return stack.subset(slice(options.limit)) if options.limit is not None else stack


def _parts(options: Options, stack: ParticleStack) -> dict[str, np.ndarray]:
    """Return the rows of every star file by its name, each in the order of the file that was read."""
    whole = {WHOLE: np.arange(stack.n)}
    if options.split is None:
        return whole
    from cryoprior.training.data import split_rows

    first = round(options.split * stack.n) if options.split < 1 else int(options.split)
    if not 0 < first < stack.n:
        raise InputError(
            f"{options.particles}: <split> {options.split:g} puts {first} of {stack.n} particles in train.star; "
            "expected at least one in either part; pass another <split>"
        )
    train, validation = split_rows(stack.n, stack.n - first, options.seed)
    return whole | {TRAIN: train, VALIDATION: validation}


def _write_images(path: Path, stack: ParticleStack, batch: int) -> None:
    starts = range(0, stack.n, batch)
    with StackWriter(path, stack.n, stack.box, float(stack.pixel_size[0])) as writer:
        for start in track(starts, "converting", len(starts)):
            places = range(start, min(start + batch, stack.n))
            images = stack.read(places)
            check_images(images, stack, places)
            writer.write(images)


def _summary(options: Options, stack: ParticleStack, parts: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {
        "n": stack.n,
        "box": stack.box,
        "pixel_size_angstrom": sorted({round(float(size), 6) for size in stack.pixel_size}),
        "resize": stack.resizing,
        "poses": stack.poses() is not None,
        "ctf": stack.ctf_parameters() is not None,
        "parts": {name: len(rows) for name, rows in parts.items()},
        "output": str(options.output),
    }
