"""``cryoprior audit``: what a prior added to two half maps, judged by the half that it did not see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.options import INPUT, Computing, check_options, option, output_option, overwrite_option

EXAMPLE = """cryoprior audit --half1 half1.mrc --half2 half2.mrc \\
    --prior-half1 sharpened1.mrc --prior-half2 sharpened2.mrc -o audit/
cryoprior audit --half1 map/half1.mrc --half2 map/half2.mrc --map-prior default -o audit/"""


@dataclass(frozen=True, kw_only=True)
class Options(Computing):
    half1: Path = option("Half map 1 without a prior, unfiltered (.mrc).", group=INPUT)
    half2: Path = option("Half map 2, of the other particles.", group=INPUT)
    prior_half1: Path | None = option("What the prior made of half map 1 alone, on the same grid.", None, group=INPUT)
    prior_half2: Path | None = option("What it made of half map 2 alone.", None, group=INPUT)
    map_prior: str | None = option(
        "In place of these two: a map prior to ask for them, default or a folder of train-map.", None, group=INPUT
    )
    mask: Path | None = option(
        "Generous soft mask from 0 to 1 for all maps (default: none). A tight one hides what is false.",
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
    symmetry: str = option("Point group that was imposed on the maps: C1, D7, O, I ...", "C1")
    seed: int = option("Seed of the random phases.", 0)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        from cryoprior.image.symmetry import point_group

        check_options(self)
        point_group(self.symmetry)
        missing = [name for name in ("prior_half1", "prior_half2") if getattr(self, name) is None]
        if self.map_prior is not None and len(missing) < 2:
            raise InputError("<map_prior> and maps of a prior are both given; expected one of them; leave one out")
        if missing and self.randomise_beyond is None and self.map_prior is None:
            raise InputError(f"<{missing[0]}> is missing: expected what the prior made of each half map; pass its file")


def run(options: Options) -> dict[str, Any]:
    from cryoprior.devices import limit_threads
    from cryoprior.io.volumes import read_density, read_volume

    limit_threads(options.threads)
    half_1, voxel_size = read_density(options.half1)
    half_2 = read_volume(options.half2, len(half_1), voxel_size, "the first half map")
    if options.randomise_beyond is not None:
        return _randomise(options, half_1, half_2, voxel_size, options.randomise_beyond)
    return _audit(options, half_1, half_2, voxel_size)


def _randomise(options: Options, half_1: Any, half_2: Any, voxel_size: float, from_shell: int) -> dict[str, Any]:
    from cryoprior.audit.files import write_randomised
    from cryoprior.output.folder import claim_output
    from cryoprior.output.record import write_provenance, write_summary
    from cryoprior.referee.randomising import check_shell

    check_shell(from_shell, len(half_1))
    inputs = [options.half1, options.half2]
    with claim_output(options.output, "audit", overwrite=options.overwrite, inputs=inputs) as folder:
        summary = write_randomised(folder, half_1, half_2, voxel_size, from_shell, options.seed)
        write_summary(folder, summary)
        write_provenance(folder, "audit", options, inputs, options.seed)
    return summary


def _audit(options: Options, half_1: Any, half_2: Any, voxel_size: float) -> dict[str, Any]:
    from cryoprior.audit.files import read_pair, write_audit
    from cryoprior.audit.page import write_audit_page
    from cryoprior.io.volumes import read_mask, read_volume, warn_of_placement
    from cryoprior.output.folder import claim_output
    from cryoprior.output.record import write_provenance, write_summary
    from cryoprior.prior.volume.asking import ask_map_prior
    from cryoprior.referee.auditing import audit_maps

    grid = (len(half_1), voxel_size, "the half maps")
    priors: list[Any]
    if options.map_prior is None:
        assert options.prior_half1 is not None
        assert options.prior_half2 is not None
        priors = [read_volume(path, *grid) for path in (options.prior_half1, options.prior_half2)]
    else:
        priors = ask_map_prior(half_1, half_2, voxel_size, options.map_prior, options.device)
    mask = None if options.mask is None else read_mask(options.mask, *grid)
    truth = None if options.truth is None else read_volume(options.truth, *grid)
    pair = None if options.randomised is None else read_pair(options.randomised, half_1, half_2)
    warn_of_placement(
        options.half1, options.half2, options.prior_half1, options.prior_half2, options.mask, options.truth
    )
    randomised = None if pair is None else (pair.from_shell, *pair.priors)
    maps = (half_1, half_2, priors[0], priors[1])
    audit = audit_maps(*maps, voxel_size, mask, truth, options.symmetry, randomised, options.device)
    named = {
        "Half maps": (options.half1, options.half2),
        "Prior's maps": (options.prior_half1, options.prior_half2),
        "Mask": (options.mask,),
        "True map": (options.truth,),
        "Random phases": (options.randomised,),
    }
    shown = {name: ", ".join(str(path) for path in paths) for name, paths in named.items() if paths[0] is not None}
    if options.map_prior is not None:
        shown["Prior"] = f"map prior {options.map_prior}, asked for each half map"
    inputs = [path for paths in named.values() for path in paths if path is not None]
    with claim_output(options.output, "audit", overwrite=options.overwrite, inputs=inputs) as folder:
        write_audit(folder, audit)
        write_audit_page(folder, audit, {"Mask": "none", **shown})
        write_summary(folder, audit.summary())
        write_provenance(folder, "audit", options, inputs)
    return audit.summary()
