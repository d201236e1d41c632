"""``cryoprior plan``: what to keep of particles, by the bytes it takes and the resolution to expect of it."""

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
    from cryoprior.planning.opening import Opened

EXAMPLE = """cryoprior plan particles.star -o plan/ --n 500000
cryoprior plan --spectrum snr.csv --box 128 --pixel-size 2.5 --n 500000 -o plan/"""


@dataclass(frozen=True, kw_only=True)
class Options(ParticleFiles, Computing):
    particles: Path | None = argument("Particles with poses (.star, .cs, ...): a pilot map is made of them.", None)
    spectrum: Path | None = option(
        "In place of particles: CSV with columns angstrom and snr, signal over noise power of the images.",
        None,
        group=INPUT,
    )
    box: int | None = option(
        "With a spectrum: pixels a side of the images.", None, group=INPUT, minimum=8, maximum=4096
    )
    diameter: float | None = option(
        "With a spectrum: diameter of the particle in angstrom (default: two thirds of the box).", None, group=INPUT
    )
    output: Path = output_option("Folder to write: report.html, candidates.csv, spectrum.csv, front.png, summary.json.")
    n: int | None = option("Particles of the whole data set (default: those of the file).", None, minimum=2)
    candidate: tuple[str, ...] = option(
        "What could be kept, an operator or an encoding as text; may be given several times (default: formats, bits, "
        "masks, and masks with bits). `cryoprior list` has the names.",
        (),
        repeat=True,
    )
    pilot: int = option("Particles of the pilot map.", 2000, minimum=50)
    symmetry: str = option("Point group of the particle: C1, D7, O, I ...", "C1")
    tolerance: float = option(
        "How much coarser than whole images the recommended may be, as a share.", 0.05, minimum=0, maximum=10
    )
    target: float | None = option("Resolution in angstrom that is to be reached, in place of it.", None)
    bandwidth: float = option("Of the line on which particles are moved, gigabit per second.", 1.0)
    map_seconds: float | None = option(
        "Seconds that a particle takes in a map on your device (default: as measured on one core).", None
    )
    image_seconds: float | None = option(
        "Seconds that an image takes to be reconstructed on your device (default: as measured on one core).", None
    )
    seed: int = option("Of masks, examples and error bars.", 0)
    batch: int = option("Particles in memory at a time.", 128, minimum=1, group=COMPUTING)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        from cryoprior.image.symmetry import point_group

        check_options(self)
        point_group(self.symmetry)
        for name in ("target", "bandwidth", "map_seconds", "image_seconds", "diameter"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"<{name}> {value:g}: expected a number above 0; pass one")
        if (self.particles is None) == (self.spectrum is None):
            raise InputError("<PARTICLES> or <spectrum>: expected one of them; pass a stack with poses, or a CSV")
        if self.spectrum is not None:
            missing = [name for name in ("box", "pixel_size", "n") if getattr(self, name) is None]
            if missing:
                raise InputError(f"<spectrum> without <{missing[0]}>: expected box, pixel size and number; pass it")
        elif self.box is not None or self.diameter is not None:
            raise InputError("<box> or <diameter> beside particles: their file says it; leave it out")


def run(options: Options) -> dict[str, Any]:
    """Return the summary of a plan, which lies in a folder of its own with its page."""
    from cryoprior.devices import limit_threads
    from cryoprior.output.folder import claim_output
    from cryoprior.output.record import write_provenance, write_summary
    from cryoprior.planning.candidates import candidates
    from cryoprior.planning.cost import Rates
    from cryoprior.planning.files import plan_summary, write_plan
    from cryoprior.planning.page import write_plan_page
    from cryoprior.planning.plan import make_plan

    limit_threads(options.threads)
    given = [path for path in (options.particles, options.spectrum, *options.companion_files) if path is not None]
    ways = candidates(options.candidate, _box(options), options.seed)  # what is misspelt is said before any work
    with claim_output(options.output, "plan", overwrite=options.overwrite, inputs=given) as folder:
        opened = _opened(options)
        left_out = _prior_left_out(opened.spectrum.box, opened.spectrum.pixel_size)
        plan = make_plan(
            opened.spectrum,
            options.n or opened.n,
            ways,
            opened.examples,
            Rates(options.bandwidth, options.map_seconds, options.image_seconds),
            prior=not left_out,
            tolerance=options.tolerance,
            target=options.target,
            seed=options.seed,
        )
        write_plan(folder, plan)
        write_plan_page(folder, plan, opened.source, left_out)
        summary = plan_summary(plan) | {"signal_and_noise": opened.source}
        write_summary(folder, summary)
        write_provenance(folder, "plan", options, given, options.seed)
    return summary


def _box(options: Options) -> int:
    from cryoprior.io import read_particles

    if options.particles is not None:
        return read_particles(options.particles, **options.companions).box
    assert options.box is not None
    return options.box


def _opened(options: Options) -> Opened:
    from cryoprior.devices import choose_device
    from cryoprior.maps.sums import MapSettings
    from cryoprior.planning.opening import of_particles, of_table

    if options.particles is not None:
        settings = MapSettings(options.symmetry, batch=options.batch, device=str(choose_device(options.device)))
        return of_particles(options.particles, options.pilot, settings, options.seed, **options.companions)
    assert options.spectrum is not None
    assert options.n is not None
    assert options.box is not None
    assert options.pixel_size is not None
    return of_table(options.spectrum, options.n, options.box, options.pixel_size, options.diameter, options.seed)


def _prior_left_out(box: int, pixel_size: float) -> str:
    """Return why the embedded map prior cannot be asked for such maps; empty where it can."""
    from cryoprior.prior import load_map_prior

    try:
        load_map_prior("default").check_grid(box, pixel_size)
    except InputError as error:
        return str(error)
    return ""
