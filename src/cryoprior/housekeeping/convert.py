"""``cryoprior convert``: particles of any format as RELION star, cryoSPARC .cs and one stack, resampled, split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.options import (
    COMPUTING,
    ParticleFiles,
    argument,
    check_options,
    option,
    output_option,
    overwrite_option,
)

EXAMPLE = "cryoprior convert particles.cs -o small/ --box 64 --split 0.8 --cs"
NEXT = "cryoprior validate {output}/particles.star"


@dataclass(frozen=True)
class Options(ParticleFiles):
    particles: Path = argument("Particles: .star, .cs, .mrcs, .mrc, or a .txt list of stacks.")
    output: Path = output_option("Folder for particles.star (and particles.cs) and its stack.")
    box: int | None = option("Resize the images to this many pixels a side.", None, minimum=2)
    resize: str = option("How images are resized.", "fourier", choices=("fourier", "bicubic"))
    intensity: str = option(
        "Grey values: as they are, or each image mapped to [-1, 1] by its own extremes, to reproduce the paper.",
        "kept",
        choices=("kept", "per-image"),
    )
    cs: bool = option("Write a cryoSPARC file (.cs) beside every star file.", False)
    split: float | None = option(
        "Write train.star, validation.star and validation_fixed.star, a draw of 16 of these: the share of particles in "
        "the first (0.8), or how many (105519).",
        None,
    )
    seed: int = option("Seed of the split; train with this seed and share parts particles.star alike.", 0, minimum=0)
    limit: int | None = option("Convert the first particles only.", None, minimum=1)
    batch: int = option("Particles in memory at a time.", 256, minimum=1, group=COMPUTING)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        check_options(self)
        share = self.split is not None and 0 < self.split < 1
        count = self.split is not None and self.split >= 2 and self.split == int(self.split)
        if self.split is not None and not (share or count):
            raise InputError(f"<split> {self.split:g}: expected a share between 0 and 1, or a number of at least 2")


def run(options: Options) -> dict[str, Any]:
    """Return the summary of a folder that holds the particles as one stack, a star file, and one for each part."""
    from cryoprior.housekeeping.converting import converted_summary, rows_of_parts, write_converted
    from cryoprior.io import read_particles
    from cryoprior.output.folder import claim_output
    from cryoprior.output.record import write_provenance, write_summary

    stack = read_particles(options.particles, **options.companions)
    if options.box is not None:
        stack = stack.resized(options.box, options.resize)
    stack = stack.subset(slice(options.limit))
    parts = rows_of_parts(stack, options.split, options.seed)
    read = [options.particles, *options.companion_files]
    claim = claim_output(options.output, "convert", overwrite=options.overwrite, inputs=[*read, *stack.files])
    with claim as folder:
        write_converted(folder, stack, parts, options.batch, cs=options.cs, intensity=options.intensity)
        summary = converted_summary(stack, parts) | {"intensity": options.intensity, "output": str(options.output)}
        write_provenance(folder, "convert", options, read, options.seed)
        write_summary(folder, summary)
    return summary
