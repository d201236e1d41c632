"""``cryoprior audit``: what a prior added to two half maps, judged by the half that it did not see."""

from __future__ import annotations

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
    from cryoprior.audit.standard import StandardTests
    from cryoprior.reconstruction.check import Check
    from cryoprior.referee.deviation import Drawing
    from cryoprior.referee.result import Audit

EXAMPLE = """cryoprior audit particles.star --map-prior default -o audit/
cryoprior audit --half1 half1.mrc --half2 half2.mrc \\
    --prior-half1 sharpened1.mrc --prior-half2 sharpened2.mrc -o audit/
cryoprior audit --half1 map/half1.mrc --half2 map/half2.mrc --map-prior default -o audit/"""


@dataclass(frozen=True, kw_only=True)
class Options(ParticleFiles, Computing):
    particles: Path | None = argument(
        "Particles with poses (.star, .cs, ...) or measurements (.zarr), of which the half maps are made.", None
    )
    half1: Path | None = option(
        "In place of particles: half map 1 without a prior, unfiltered (.mrc).", None, group=INPUT
    )
    half2: Path | None = option("Half map 2, of the other particles.", None, group=INPUT)
    prior_half1: Path | None = option("What the prior made of half map 1 alone, on the same grid.", None, group=INPUT)
    prior_half2: Path | None = option("What it made of half map 2 alone.", None, group=INPUT)
    map_prior: str | None = option(
        "In place of these two: a map prior to ask for them, default or a folder of train-map.", None, group=INPUT
    )
    wrong_prior: str | None = option(
        "A map prior that should not fit, default or a folder of train-map: another test.", None, group=INPUT
    )
    mask: Path | None = option(
        "Generous soft mask from 0 to 1 for all maps (default: none; of particles one that the map shows, widened). "
        "A tight one hides what is false.",
        None,
        group=INPUT,
    )
    truth: Path | None = option("The true map, where it is known, to check the verdict by.", None, group=INPUT)
    randomised: Path | None = option(
        "Folder that --randomise-beyond wrote, with the prior's maps of its half maps as prior1.mrc and prior2.mrc.",
        None,
        group=INPUT,
    )
    output: Path = output_option("Folder to write: report.html, verdict.csv, verdict.star, summary.json, maps.")
    randomise_beyond: int | None = option(
        "Audit nothing; write both half maps with random phases from this shell on, to be put through the prior.",
        None,
        minimum=2,
    )
    tests: bool = option(
        "Put a map prior through the standard tests too: random phases, the other hand, and of particles noise in "
        "their place. Each costs as much as the audit; of particles random phases and noise are one map more each.",
        True,
    )
    samples: int = option(
        "With a map prior: draws of what the map may look like, and their deviation by voxel; 0 draws none. Each costs "
        "25 evaluations of its network, three times what asking it for both half maps costs.",
        0,
        minimum=0,
    )
    image_prior: str | None = option(
        "Of particles or measurements: a prior of images too (default, or a folder), judged by numbers of theirs that "
        "are withheld from it and predicted; needs no map, no poses and no truth.",
        None,
        group=INPUT,
    )
    symmetry: str = option("Point group that was imposed on the maps, or is on particles: C1, D7, O, I ...", "C1")
    passes: int = option("For sums of pixels: passes over the particles at most, as in map.", 8, minimum=0)
    invert: bool = option("Reverse the contrast of all images, for particles that are dark.", False)
    seed: int = option("Seed of the random phases, of the noise and of the draws.", 0)
    batch: int = option("Particles in memory at a time.", 128, minimum=1, group=COMPUTING)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        from cryoprior.image.symmetry import point_group
        from cryoprior.prior.volume.sampling import check_samples

        check_options(self)
        point_group(self.symmetry)
        missing = [name for name in ("prior_half1", "prior_half2") if getattr(self, name) is None]
        halves = [name for name in ("half1", "half2") if getattr(self, name) is not None]
        if self.particles is not None:
            self._check_particles(halves)
        elif len(halves) < 2:
            raise InputError("<half1> and <half2>, or <PARTICLES>: expected one of them; pass both half maps")
        if self.map_prior is not None and len(missing) < 2:
            raise InputError("<map_prior> and maps of a prior are both given; expected one of them; leave one out")
        if missing and self.randomise_beyond is None and self.map_prior is None:
            raise InputError(f"<{missing[0]}> is missing: expected what the prior made of each half map; pass its file")
        if self.wrong_prior is not None and self.map_prior is None:
            raise InputError("<wrong_prior> without <map_prior>: it is compared with that; pass one")
        if self.image_prior is not None and self.particles is None:
            raise InputError("<image_prior> without particles: half maps hold no images of it; leave it out")
        if self.samples and self.map_prior is None:
            raise InputError("<samples> without <map_prior>: a map prior is what they are drawn from; pass default")
        if self.samples:
            check_samples(self.samples)

    def _check_particles(self, halves: list[str]) -> None:
        if halves or self.randomised is not None or self.randomise_beyond is not None:
            given = [*halves, *(name for name in ("randomised", "randomise_beyond") if getattr(self, name) is not None)]
            raise InputError(f"<{given[0]}> beside particles: the half maps are made of these; leave one out")
        if self.map_prior is None:
            raise InputError("<map_prior> is missing: of particles only a map prior can be asked; pass default")


def run(options: Options) -> dict[str, Any]:
    from cryoprior.devices import limit_threads

    limit_threads(options.threads)
    if options.randomise_beyond is not None:
        return _randomise(options, options.randomise_beyond)
    if options.map_prior is None:
        return _audit_given(options)
    return _audit_asked(options, options.map_prior)


def _halves(options: Options) -> tuple[Any, Any, float]:
    from cryoprior.io.volumes import read_density, read_volume

    assert options.half1 is not None
    assert options.half2 is not None
    half_1, voxel_size = read_density(options.half1)
    return half_1, read_volume(options.half2, len(half_1), voxel_size, "the first half map"), voxel_size


def _randomise(options: Options, from_shell: int) -> dict[str, Any]:
    from cryoprior.audit.files import write_randomised
    from cryoprior.output.folder import claim_output
    from cryoprior.output.record import write_provenance, write_summary
    from cryoprior.referee.randomising import check_shell

    half_1, half_2, voxel_size = _halves(options)
    check_shell(from_shell, len(half_1))
    inputs = [path for path in (options.half1, options.half2) if path is not None]
    with claim_output(options.output, "audit", overwrite=options.overwrite, inputs=inputs) as folder:
        summary = write_randomised(folder, half_1, half_2, voxel_size, from_shell, options.seed)
        write_summary(folder, summary)
        write_provenance(folder, "audit", options, inputs, options.seed)
    return summary


def _audit_given(options: Options) -> dict[str, Any]:
    """Audit the maps that some program made of half maps."""
    from cryoprior.audit.files import read_pair
    from cryoprior.io.volumes import read_mask, read_volume, warn_of_placement
    from cryoprior.referee.auditing import audit_maps

    half_1, half_2, voxel_size = _halves(options)
    grid = (len(half_1), voxel_size, "the half maps")
    assert options.half1 is not None
    assert options.prior_half1 is not None
    assert options.prior_half2 is not None
    priors = [read_volume(path, *grid) for path in (options.prior_half1, options.prior_half2)]
    mask = None if options.mask is None else read_mask(options.mask, *grid)
    truth = None if options.truth is None else read_volume(options.truth, *grid)
    pair = None if options.randomised is None else read_pair(options.randomised, half_1, half_2)
    warn_of_placement(
        options.half1, options.half2, options.prior_half1, options.prior_half2, options.mask, options.truth
    )
    randomised = None if pair is None else (pair.from_shell, *pair.priors)
    maps = (half_1, half_2, priors[0], priors[1])
    audit = audit_maps(*maps, voxel_size, mask, truth, options.symmetry, randomised, options.device)
    return _write(options, audit, None, None, [])


def _audit_asked(options: Options, name: str) -> dict[str, Any]:
    """Ask a map prior for the half maps of particles, or for given ones; audit and test it."""
    from cryoprior.audit.opening import Beside, open_half_maps, open_particles
    from cryoprior.audit.standard import audit_map_prior
    from cryoprior.devices import choose_device
    from cryoprior.prior import load_map_prior
    from cryoprior.prior.volume.checkpoint import own_folder
    from cryoprior.reconstruction.checking import check_file

    device = choose_device(options.device)
    prior = load_map_prior(name, device)
    wrong = None if options.wrong_prior is None else load_map_prior(options.wrong_prior, device)
    read: list[Path] = own_folder(name) + own_folder(options.wrong_prior or "default")
    beside = Beside(options.mask, options.truth, options.symmetry, str(device))
    check = None
    if options.particles is not None and options.image_prior is not None:
        check = check_file(options.particles, options.image_prior, device, options.seed, **options.companions)
        read += [path for path in (Path(options.image_prior),) if path.is_dir()]
    if options.particles is None:
        subject, particles = open_half_maps(*_halves(options), beside), None
    else:
        ways = (options.passes, options.batch, -1.0 if options.invert else 1.0)
        priors = [one for one in (prior, wrong) if one is not None]
        subject, particles = open_particles(options.particles, options.companions, ways, priors, beside)
        read += [*options.companion_files, *particles[0].files]
    audit, tests = audit_map_prior(subject, prior, wrong, particles, tests=options.tests, seed=options.seed)
    drawing = subject.drawing(prior, options.samples, options.seed) if options.samples else None
    return _write(options, audit, tests, drawing, read, check)


def _write(
    options: Options,
    audit: Audit,
    tests: StandardTests | None,
    drawing: Drawing | None,
    read: list[Path],
    check: Check | None = None,
) -> dict[str, Any]:
    from cryoprior.audit.files import write_audit, write_noise
    from cryoprior.audit.page import write_audit_page
    from cryoprior.output.folder import claim_output
    from cryoprior.output.record import write_provenance, write_summary
    from cryoprior.reconstruction.page import check_section
    from cryoprior.referee.deviation_section import deviation_section, write_deviation

    named = {
        "Particles": (options.particles,),
        "Half maps": (options.half1, options.half2),
        "Prior's maps": (options.prior_half1, options.prior_half2),
        "Mask": (options.mask,),
        "True map": (options.truth,),
        "Random phases": (options.randomised,),
    }
    shown = {name: ", ".join(str(path) for path in paths) for name, paths in named.items() if paths[0] is not None}
    if options.map_prior is not None:
        shown["Prior"] = f"map prior {options.map_prior}, asked for each half map"
    if options.wrong_prior is not None:
        shown["Wrong prior"] = options.wrong_prior
    made = "of the map, widened" if options.particles is not None and audit.masked else "none"
    inputs = [path for paths in named.values() for path in paths if path is not None]
    summary = audit.summary() | ({} if tests is None or not tests.summary() else {"tests": tests.summary()})
    with claim_output(options.output, "audit", overwrite=options.overwrite, inputs=[*inputs, *read]) as folder:
        write_audit(folder, audit)
        if tests is not None and tests.noise is not None:
            write_noise(folder, tests.noise, audit.voxel_size_angstrom)
        more = []
        if drawing is not None:
            drawn = write_deviation(folder, drawing, audit)
            summary["prior_deviation"], more = drawn.summary(), [deviation_section(folder, drawn)]
        if check is not None:
            check.shells.to_csv(folder / "check.csv", index=False, float_format="%.6g")
            summary["check"], more = check.summary(), [*more, check_section(check)]
        write_audit_page(folder, audit, {"Mask": made, **shown}, tests, more)
        write_summary(folder, summary)
        write_provenance(folder, "audit", options, inputs, options.seed)
    return summary
