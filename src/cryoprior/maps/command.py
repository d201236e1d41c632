"""``cryoprior map``: maps and FSC of particles, reconstructions or measurements with known poses."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cryoprior.devices import choose_device
from cryoprior.errors import InputError, for_command_line
from cryoprior.image.density import is_dark
from cryoprior.image.symmetry import point_group
from cryoprior.io import read_particles
from cryoprior.io.volumes import read_mask, read_volume
from cryoprior.maps.controls import equal_size_controls
from cryoprior.maps.files import NamedMaps, write_map_page, write_maps
from cryoprior.maps.judgement import judge, map_mask
from cryoprior.maps.making import MapSet, MapSettings
from cryoprior.maps.refinement import make_refined_maps
from cryoprior.maps.sources import FullParticles, MeasuredParticles, ReconstructedParticles, Source, Subset
from cryoprior.measurement.reading import measured_rows, open_measurements, recorded_measurements
from cryoprior.options import argument, check_options, option
from cryoprior.output.folder import claim_output
from cryoprior.output.record import read_recorded, write_provenance, write_summary
from cryoprior.report.page import Alert

PRIOR_FREE = "prior-free, from the measurements"

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class Options:
    particles: Path = argument("Particles with poses (.star, .cs, ...), a reconstruction's, or measurements (.zarr).")
    output: Path = option("Folder to write.", flags=("-o", "--output"))
    mask: Path | None = option("Mask for the FSC, 0 to 1 (default: a soft one made from the map).", None)
    symmetry: str = option("Point group about RELION's axes: C1, C2, D2, T, O, I, ...", "C1")
    truth: Path | None = option("The true map, where it is known, to compare with.", None)
    prior_weight: float = option(
        "Reconstructions: how much the part that was not measured counts, 0 (what was measured alone) to 1 (as if the "
        "images had been recorded).",
        0.0,
        minimum=0,
        maximum=1,
    )
    measurements: Path | None = option("Measurements of a reconstruction (default: those that it recorded).", None)
    controls: Path | None = option(
        "The full particles that were measured: maps of equal size from them are made too.", None
    )
    iterations: int = option("Conjugate gradient steps after the division by the weights.", 1, minimum=0)
    refinements: int = option(
        "Sums of pixels: how often what the map does not explain of the measurements is back-projected again.",
        2,
        minimum=0,
    )
    invert: bool = option("Reverse the contrast of all images, for particles that are dark.", False)
    limit: int | None = option("Use the first particles only.", None, minimum=2)
    pixel_size: float | None = option("Pixel size in angstrom, where the file gives none or a wrong one.", None)
    poses: Path | None = option("cryoDRGN poses.pkl, beside a bare stack.", None)
    ctf: Path | None = option("cryoDRGN ctf.pkl, beside a bare stack.", None)
    ind: Path | None = option("Pickle of the indices of the particles to keep.", None)
    datadir: Path | None = option("Folder to find the image stacks in.", None)
    batch: int = option("Particles in memory at a time.", 32, minimum=1)
    device: str = option("Where to compute: auto, cpu, cuda or cuda:1.", "cpu")
    threads: int | None = option("Processor threads; all by default.", None, minimum=1)
    seed: int = option("Seed of the randomised phases.", 0)
    overwrite: bool = option("Replace an output in use.", False)

    def __post_init__(self) -> None:
        check_options(self)
        point_group(self.symmetry)


@dataclass(frozen=True)
class MapJob:
    """What is mapped: a source, the measurements behind it, if there are any, and whether a prior had a hand in it."""

    name: str
    source: Source
    measured: MeasuredParticles | None = None
    prior_inside: bool = False

    @classmethod
    def open(cls, options: Options) -> MapJob:
        """Return the job of the options; InputError where its files do not fit together."""
        if options.particles.suffix == ".zarr":
            measured = MeasuredParticles(*open_measurements(options.particles))
            return cls(PRIOR_FREE, measured, measured)
        companions = {name: getattr(options, name) for name in ("pixel_size", "poses", "ctf", "ind", "datadir")}
        stack = read_particles(options.particles, **companions)
        folder = options.particles.parent
        recorded = read_recorded(folder)
        if options.measurements is None and "measurements" not in recorded:
            return cls("full particles", FullParticles(stack))
        path = options.measurements or recorded_measurements(folder, recorded)
        measured = MeasuredParticles(*open_measurements(path))
        if stack.n > measured.n or stack.box != measured.box:
            raise InputError(
                f"{options.particles}: {stack.n} particles of box {stack.box}; {path} has {measured.n} of box "
                f"{measured.box}; pass the measurements that were reconstructed"
            )
        name = f"{recorded.get('solver', 'reconstruction')}, prior weight {options.prior_weight:g}"
        return cls(name, ReconstructedParticles(stack, measured, options.prior_weight), measured, prior_inside=True)

    def limited(self, n: int | None) -> MapJob:
        """Return the job on its first n particles."""
        rows = np.arange(min(n or self.source.n, self.source.n))
        return dataclasses.replace(self, source=Subset(self.source, rows))

    def others(self, options: Options) -> Iterator[tuple[str, Source]]:
        """Yield what is mapped beside it: the measurements of a reconstruction, and controls of equal size."""
        rows = np.arange(self.source.n)
        if self.measured is None:
            if options.controls is not None:
                raise InputError("<controls>: full particles have no compression to match; pass measurements (.zarr)")
            return
        if self.prior_inside:
            yield PRIOR_FREE, Subset(self.measured, rows)
        if options.controls is not None:
            whole = read_particles(options.controls, pixel_size=options.pixel_size, datadir=options.datadir)
            stack = measured_rows(whole, self.measured.measurements).subset(rows)
            yield "full particles", FullParticles(stack)
            yield from equal_size_controls(stack, self.measured.operator.compression)


def run(options: Options) -> dict[str, Any]:
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    job = MapJob.open(options).limited(options.limit)
    others = list(job.others(options))
    settings = MapSettings(
        options.symmetry,
        options.iterations,
        options.refinements,
        options.batch,
        str(choose_device(options.device)),
        -1.0 if options.invert else 1.0,
    )
    size = job.source.geometry.pixel_size
    grid = (job.source.box, size)
    truth = None if options.truth is None else torch.from_numpy(read_volume(options.truth, *grid))
    given = None if options.mask is None else torch.from_numpy(read_mask(options.mask, *grid))
    with claim_output(options.output, overwrite=options.overwrite) as folder:
        maps = make_refined_maps(job.source, settings)
        mask, made = map_mask(maps) if given is None else (given, str(options.mask))
        main = NamedMaps(job.name, maps, judge(maps, mask, truth, options.seed))
        write_maps(folder, main, mask)
        shown, beside = [main], {}
        for name, source in others:
            other = make_refined_maps(source, settings, name)
            shown.append(NamedMaps(name, other, judge(other, mask, truth, options.seed)))
            place = _folder_name(name)
            write_maps(folder / place, shown[-1])
            beside[place] = {"n": other.n, **shown[-1].judgement.summary()}
        warnings = list(_warnings(job, maps))
        facts = _facts(job, maps, options, made)
        write_map_page(folder, shown, facts, truth, warnings, prior_inside=job.prior_inside)
        summary = {
            "n": maps.n,
            "n_half": [maps.n_half_1, maps.n_half_2],
            "box": maps.box,
            "voxel_size_angstrom": maps.voxel_size_angstrom,
            "symmetry": options.symmetry,
            **main.judgement.summary(),
            "mask": made,
            "contrast": "dark" if is_dark(maps.full, size) else "bright",
            "ctf": job.source.geometry.ctf is not None,
            **({"prior_weight": options.prior_weight} if job.prior_inside else {}),
            **({"operator": job.measured.measurements.operator_spec} if job.measured is not None else {}),
            "beside": beside,
            "warnings": [warning.title for warning in warnings],
        }
        inputs = [options.particles, options.mask, options.truth, options.controls, options.poses, options.ctf]
        write_provenance(folder, "map", options, [path for path in inputs if path is not None], options.seed)
        write_summary(folder, summary)
    return summary


def _folder_name(name: str) -> str:
    return "prior_free" if name == PRIOR_FREE else name.replace(" ", "_")


def _warnings(job: MapJob, maps: MapSet) -> Iterator[Alert]:
    if is_dark(maps.full, maps.voxel_size_angstrom):
        text = (
            "The particle is darker than the solvent: its contrast is reversed. Pass <invert> to turn all images; "
            "RELION and ModelAngelo expect bright density."
        )
        log.warning("%s: %s", job.source.path, text)
        yield Alert("The map is dark", for_command_line(text))
    if job.source.geometry.ctf is None:
        text = "The file gives no defocus, so no CTF was corrected. Pass <ctf>, or add rlnDefocusU and its companions."
        log.warning("%s: %s", job.source.path, text)
        yield Alert("No CTF", for_command_line(text))
    if not bool(torch.isfinite(maps.full).all()):
        raise InputError(f"{job.source.path}: the map is not finite; expected finite images; run cryoprior validate")


def _facts(job: MapJob, maps: MapSet, options: Options, mask: str) -> list[tuple[str, str]]:
    facts = [
        ("Particles", f"{maps.n} ({maps.n_half_1} and {maps.n_half_2} in the half maps)"),
        ("Box", f"{maps.box} voxels of {maps.voxel_size_angstrom:.3f} Å"),
        ("Symmetry", options.symmetry),
        ("Mask", mask),
    ]
    if job.measured is not None:
        operator = job.measured.operator
        facts.append(("Operator", job.measured.measurements.operator_spec))
        compression = f"{operator.compression:.3g} nominal, {operator.effective_compression:.3g} by rank"
        facts.append(("Compression", compression))
    return facts
