"""``cryoprior poses``: how far the poses that RELION, or any program, finds are from the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryoprior.errors import InputError
from cryoprior.options import COMPUTING, INPUT, argument, check_options, option, output_option, overwrite_option

if TYPE_CHECKING:
    from cryoprior.poses.files import Poses
    from cryoprior.poses.search import PoseSearch


EXAMPLE = "cryoprior poses recon/particles.star --reference-map map/map.mrc \\\n    --truth particles.star -o poses/"
NEXT = "cryoprior map {output}/poses.star -o map/"


@dataclass(frozen=True)
class Options:
    truth: Path = option("The same particles, in any order and among others, with their true poses.", group=INPUT)
    output: Path = output_option("Folder to write.")
    particles: Path | None = argument("Particles whose poses RELION is to find; their own poses are not used.", None)
    reference_map: Path | None = option(
        "The map to search with, of the particles' box and pixel size.", None, group=INPUT
    )
    estimated: Path | None = option(
        "In place of PARTICLES: poses that any program found; RELION is not run.", None, group=INPUT
    )
    mode: str = option(
        "search: all poses, then those near the best, against the map as it is. refine: RELION's auto-refinement by "
        "MPI. auto: refine with 8 threads and 1,000 particles or more, else search.",
        "auto",
        choices=("auto", "search", "refine"),
    )
    lowpass: float = option("Resolution to which the map is low-passed first, in angstrom.", 15.0, minimum=1)
    symmetry: str = option("Point group of the map: C1, C4, D2, T, O, I, ...", "C1")
    align: bool = option("Turn all poses by one rotation first, for maps in a frame of their own.", False)
    healpix_order: int = option(
        "Step of the angles in the first search: 1 is 15, 2 is 7.5, 3 is 3.75 degrees.", 2, minimum=1, maximum=5
    )
    shift_range: float = option("Farthest shift along x or y, in angstrom.", 20.0, minimum=1)
    diameter: float | None = option("Diameter of the particle, in angstrom (default: 0.84 box).", None, minimum=1)
    contrast: str = option(
        "Sign of the particles against the map: bright if it is the same.", "auto", choices=("auto", "bright", "dark")
    )
    threads: int | None = option("Processor threads of RELION (default: all).", None, minimum=1, group=COMPUTING)
    limit: int | None = option("Use the first particles only.", None, minimum=1)
    pixel_size: float | None = option("Pixel size in angstrom, where the files give none.", None, group=INPUT)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        from cryoprior.image.symmetry import point_group

        check_options(self)
        point_group(self.symmetry)
        if (self.particles is None) == (self.estimated is None):
            raise InputError("poses: pass either <PARTICLES>, for RELION to find their poses, or <estimated>")
        if self.particles is not None and self.reference_map is None:
            raise InputError(f"{self.particles}: to find poses a map is needed; pass <reference_map>")


def run(options: Options) -> dict[str, Any]:
    from cryoprior.output.folder import claim_output
    from cryoprior.poses.files import read_poses, true_poses

    truth = read_poses(options.truth, options.pixel_size)
    if options.estimated is None:
        return _search(options, truth)
    poses = read_poses(options.estimated, options.pixel_size, options.limit)
    truth, by = true_poses(truth, poses.identified)
    facts = {"estimated": str(options.estimated), "matched_by": by}
    inputs = [options.estimated, options.truth]
    with claim_output(options.output, "poses", overwrite=options.overwrite, inputs=inputs) as folder:
        return _write(folder, options, poses, truth, facts)


def _search(options: Options, truth: Poses) -> dict[str, Any]:
    """Return the summary of poses that RELION finds; the parts that an interrupted run finished are kept."""
    from cryoprior.output.folder import resume_output
    from cryoprior.poses.files import Poses, true_poses, write_found_poses
    from cryoprior.poses.search import MAKES, search_poses

    search = _pose_search(options)
    particles = search.particles
    truth, by = true_poses(truth, particles.identified)
    inputs = [particles.path, *particles.files, options.truth, search.reference]
    keeping: dict[str, Any] = {"makes": MAKES, "overwrite": options.overwrite, "inputs": inputs, "reopen": True}
    with resume_output(options.output, "poses", search.identity(), **keeping) as work:
        (work.folder / "summary.json").unlink(missing_ok=True)
        result = search_poses(search, work.folder / "relion")
        facts = {**result.facts, "matched_by": by}
        write_found_poses(work.folder, particles, result.poses)
        parts = (result.poses.euler_deg, result.poses.origin_angstrom, particles.pixel_size, result.poses.probability)
        summary = _write(work.folder, options, Poses(particles.path, particles.table, *parts), truth, facts)
        work.complete()
    return summary


def _pose_search(options: Options) -> PoseSearch:
    from cryoprior.external.relion import RELION
    from cryoprior.io import read_particles
    from cryoprior.poses.search import DIAMETER_OF_BOX, PoseSearch, default_threads

    assert options.particles is not None
    assert options.reference_map is not None
    particles = read_particles(options.particles, pixel_size=options.pixel_size).subset(slice(options.limit))
    search = PoseSearch(
        particles,
        options.reference_map,
        options.mode,
        options.symmetry.upper(),
        options.lowpass,
        options.healpix_order,
        options.shift_range,
        options.diameter or DIAMETER_OF_BOX * particles.box * float(particles.pixel_size[0]),
        options.contrast,
        options.threads or default_threads(),
    )
    RELION.find()
    _ = search.volume  # what does not fit is refused before anything is written
    return search


def _write(folder: Path, options: Options, poses: Poses, truth: Poses, facts: Mapping[str, Any]) -> dict[str, Any]:
    from cryoprior.output.record import write_provenance, write_summary
    from cryoprior.poses.files import write_errors
    from cryoprior.poses.scoring import pose_summary, score_poses

    errors = score_poses(poses, truth, options.symmetry, options.align)
    write_errors(folder, poses, errors)
    inputs = [options.particles, options.estimated, options.truth, options.reference_map]
    write_provenance(folder, "poses", options, [path for path in inputs if path is not None])
    summary = {**pose_summary(errors, options.symmetry, options.align), **facts}
    write_summary(folder, summary)
    return summary
