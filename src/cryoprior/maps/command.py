"""``cryoprior map``: maps and FSC of particles, reconstructions or measurements with known poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryoprior.errors import InputError
from cryoprior.options import (
    COMPUTING,
    INPUT,
    Computing,
    ParticleFiles,
    argument,
    check_options,
    option,
    output_option,
    overwrite_option,
)

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float32

    from cryoprior.maps.job import MapJob
    from cryoprior.maps.judgement import NamedMaps
    from cryoprior.maps.source import Source
    from cryoprior.maps.sums import MapSettings
    from cryoprior.prior import MapPrior

EXAMPLE = "cryoprior map recon/particles.star -o map/ --controls particles.star"


@dataclass(frozen=True)
class Options(ParticleFiles, Computing):
    particles: Path = argument(
        "Particles with poses (.star, .cs, ...), those of a reconstruction, or measurements (.zarr)."
    )
    output: Path = output_option("Folder to write.")
    mask: Path | None = option("Mask for the FSC, 0 to 1 (default: a soft one made from the map).", None, group=INPUT)
    symmetry: str = option("Point group about RELION's axes: C1, C2, D2, T, O, I, ...", "C1")
    truth: Path | None = option("The true map, where it is known, to compare with.", None, group=INPUT)
    prior_weight: float = option(
        "Weight of the unmeasured part of a reconstruction, from 0 (only what was measured counts) to 1 "
        "(as if the images had been recorded).",
        0.0,
        minimum=0,
        maximum=1,
    )
    measurements: Path | None = option(
        "Measurements of a reconstruction (default: those that it recorded).", None, group=INPUT
    )
    controls: Path | None = option(
        "The full particles that were measured: maps of equal size from them are made too.", None, group=INPUT
    )
    map_prior: str = option(
        "A prior of maps, asked once for each half map and judged by the other half: default, or a folder of "
        "train-map; none asks none. Its maps and the gated map are written beside the prior-free one.",
        "none",
    )
    samples: int = option(
        "With a map prior: draws of what the map may look like, and their deviation by voxel; 0 draws none. Each costs "
        "25 evaluations of its network, three times what asking it for both half maps costs.",
        0,
        minimum=0,
    )
    passes: int = option(
        "For sums of pixels, which mix frequencies: passes over the particles at most, to solve for the map with the "
        "masks in the equations. 0 takes what was mixed for noise.",
        8,
        minimum=0,
    )
    even_if_denoised: bool = option(
        "Map estimates of the signal too (reconstruct with estimate signal): a map to look at, whose half maps "
        "share what the prior put in.",
        False,
    )
    invert: bool = option("Reverse the contrast of all images, for particles that are dark.", False)
    worth: bool = option(
        "Map half, a quarter, ... of the particles too: resolution against particles, the B-factor, and how many "
        "particles of one kind replace how many of another. Costs about as much as one more map of each.",
        False,
    )
    local_resolution: bool = option(
        "Write the local resolution, and a ChimeraX script that colours the map by it. Asked for, since it took 3 s on "
        "one slow core at a box of 64 and 20 s at 128.",
        False,
    )
    limit: int | None = option("Use the first particles only.", None, minimum=2)
    seed: int = option("Seed of randomised phases, of draws, and of which particles make the smaller maps.", 0)
    batch: int = option("Particles in memory at a time.", 128, minimum=1, group=COMPUTING)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        from cryoprior.image.symmetry import point_group
        from cryoprior.prior.volume.sampling import check_samples

        check_options(self)
        point_group(self.symmetry)
        if self.samples and self.map_prior == "none":
            raise InputError("<samples> without <map_prior>: a map prior is what they are drawn from; pass default")
        if self.samples:
            check_samples(self.samples)


def run(options: Options) -> dict[str, Any]:
    from cryoprior.devices import choose_device, limit_threads
    from cryoprior.io.volumes import read_mask, read_volume
    from cryoprior.maps.job import MapJob
    from cryoprior.maps.prior_maps import prior_for
    from cryoprior.maps.sums import MapSettings
    from cryoprior.maps.worth import check_enough
    from cryoprior.output.folder import claim_output
    from cryoprior.output.record import write_provenance, write_summary
    from cryoprior.prior.volume.checkpoint import own_folder

    limit_threads(options.threads)
    job = MapJob.open(
        options.particles,
        options.measurements,
        options.prior_weight,
        even_if_denoised=options.even_if_denoised,
        **options.companions,
    )
    job = job.limited(options.limit)
    if options.worth:
        check_enough(job.source)
    prior = None if options.map_prior == "none" else prior_for(job.source, options.map_prior, options.device)
    beside = list(job.beside(options.controls, pixel_size=options.pixel_size, datadir=options.datadir))
    device, contrast = str(choose_device(options.device)), -1.0 if options.invert else 1.0
    settings = MapSettings(options.symmetry, options.passes, options.batch, device, contrast)
    grid = (job.source.box, job.source.geometry.pixel_size)
    truth = None if options.truth is None else read_volume(options.truth, *grid)
    mask = None if options.mask is None else read_mask(options.mask, *grid)
    given = [options.particles, options.mask, options.truth, options.controls, *options.companion_files]
    inputs = [path for path in (*given, *own_folder(options.map_prior)) if path is not None]
    read = {*inputs, *job.files(beside)}
    with claim_output(options.output, "map", overwrite=options.overwrite, inputs=read) as folder:
        named = job.named_maps(beside, settings, mask, truth, options.seed, prior)
        summary = _write(folder, options, job, beside, settings, named, truth, prior)
        write_provenance(folder, "map", options, inputs, options.seed)
        write_summary(folder, summary)
    return summary


def _write(
    folder: Path,
    options: Options,
    job: MapJob,
    beside: Sequence[tuple[str, Source]],
    settings: MapSettings,
    named: Sequence[NamedMaps],
    truth: Float32[np.ndarray, "d d d"] | None,
    prior: MapPrior | None,
) -> dict[str, Any]:
    """Write maps, curves and the page; return the summary."""
    from cryoprior.maps.anisotropy import map_anisotropy
    from cryoprior.maps.files import map_summary, write_maps
    from cryoprior.maps.local import write_local_resolution
    from cryoprior.maps.page import map_warnings, write_map_page
    from cryoprior.maps.prior_maps import drawing_beside
    from cryoprior.maps.prior_section import PriorSide
    from cryoprior.maps.verdict import map_verdict, prior_inside
    from cryoprior.maps.view_section import views_section, write_direction_curves
    from cryoprior.maps.worth_page import write_worths

    mask_from = named[0].judgement.mask_from if options.mask is None else str(options.mask)
    anisotropy = map_anisotropy(named[0], job.source.geometry.euler_deg, options.symmetry)
    warnings = list(map_warnings(job, named[0].maps, anisotropy))
    says = map_verdict(job, named, anisotropy)
    more = [views_section(anisotropy, named[0].judgement.resolution.angstrom)]
    beside_it: dict[str, Any] = {}
    if prior is not None:
        of = (named[0].maps, named[0].judgement, prior, options.samples, options.seed)
        drawing = drawing_beside(*of) if options.samples else None
        side = PriorSide(options.map_prior, prior, named[0].maps.audit, prior_inside(job, named), drawing)
        side.write(folder)
        says, beside_it = f"{says}; {side.said()}", side.summary()
        more[:0] = side.sections(folder)
    write_maps(folder, named)
    summary = map_summary(job, named, says, options.symmetry, mask_from, [warning.title for warning in warnings])
    summary |= beside_it
    write_direction_curves(folder, anisotropy)
    summary["views"] = anisotropy.summary()
    if options.local_resolution:
        summary["local_resolution"] = write_local_resolution(folder, named[0])
    if options.worth:
        section, summary["worth"] = write_worths(folder, job, beside, named, settings, truth, options.seed)
        more.append(section)
    write_map_page(folder, job, named, says, options.symmetry, mask_from, truth, warnings, more)
    return summary
