"""``cryoprior demo``: the whole path on a small stack that it simulates itself, told on one page."""

from __future__ import annotations

import json
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryoprior.demo.assembly import made_up_assembly
from cryoprior.demo.page import DemoPage, FileLinks, PictureRow, Study
from cryoprior.demo.results import Result, clean_curves, read_images
from cryoprior.errors import InputError
from cryoprior.evaluation import command as evaluate
from cryoprior.io import write_map
from cryoprior.measurement import command as measure
from cryoprior.options import INPUT, Computing, check_options, option, output_option
from cryoprior.output.record import write_provenance, write_summary
from cryoprior.prior import load_prior, prior_folder, read_config
from cryoprior.reconstruction import command as reconstruct
from cryoprior.reconstruction.choice import suited_prior
from cryoprior.report.page import write_page
from cryoprior.simulation import command as simulate
from cryoprior.solvers import parse_solver

BOX, PIXEL_SIZE_ANGSTROM, SNR = 64, 5.0, 0.1
FEW, PICTURES = 4, 3
"""Particles for the paper's sampler, which takes 1000 evaluations an image; particles in the pictures."""
PAPER = "nesterov"
REPORT, MARK = "report.html", "provenance.json"
"""The page, written last; what marks a folder as a demo, written first."""
PARTS = (MARK, REPORT, "particles", "pixel", "fourier", "figures", "assembly.mrc", "noise.csv", "summary.json")

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class Method:
    """A solver as ``reconstruct`` takes it."""

    name: str
    title: str
    solver: str


EXAMPLE = "cryoprior demo"


@dataclass(frozen=True)
class Options(Computing):
    output: Path = output_option("Folder to write; an earlier demo in it is replaced.", Path("demo"))
    n: int = option("Particles to simulate.", 32, minimum=2, maximum=10_000)
    prior: str = option("The embedded prior (default), or the folder of one for boxes of 64.", "default", group=INPUT)
    steps: int = option("Network evaluations of a mean or a sample of exact.", 25, minimum=2)
    nesterov_steps: int = option("Network evaluations of the paper's sampler.", 1000, minimum=1, maximum=1000)
    seed: int = option("Seed of the assembly, the particles, the masks and the samplers.", 0, minimum=0)

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def few(self) -> int:
        """Return how many particles the paper's sampler reconstructs."""
        return min(FEW, self.n)

    def operators(self) -> dict[str, tuple[str, str]]:
        """Return name to title and text of what is measured; every particle has masks of its own, up to 64 sets."""
        sets = f"sets={min(self.n, 64)},seed={self.seed}"
        return {
            "pixel": ("Sums of pixels", f"pixel:block=16,masks=192,rows=hadamard,{sets}"),
            "fourier": ("Fourier coefficients", f"fourier:pattern=uniform,compression=2,symmetry=hermitian,{sets}"),
        }

    def methods(self, operator: str) -> list[Method]:
        """Return what reconstructs the measurements of an operator, in the order of the pictures."""
        paper = [Method(PAPER, "paper's sampler", f"nesterov:steps={self.nesterov_steps}")]
        return [
            Method("least-squares", "least squares", "least-squares"),
            Method("gaussian", "Gaussian prior", "gaussian"),
            *(paper if operator == "pixel" else []),
            Method("sample", "exact sample", f"exact:estimate=sample,steps={self.steps}"),
            Method("mean", "exact mean", f"exact:estimate=mean,steps={self.steps}"),
            *([Method("posterior", "posterior mean", "posterior")] if self.prior_knows_operators else []),
        ]

    @property
    def prior_knows_operators(self) -> bool:
        """Return whether the prior can be asked for a posterior mean directly."""
        name = suited_prior(self.prior, parse_solver("posterior"))
        return read_config(prior_folder(name)).operator_aware


def run(options: Options) -> dict[str, Any]:
    started = time.perf_counter()
    _check_prior(options.prior)
    folder = _claim(options)
    simulated = _simulate(folder, options)
    results = {name: _results(folder, simulated, name, options) for name in options.operators()}
    numbers = {name: {result.name: result.summary() for result in found} for name, found in results.items()}
    seconds = time.perf_counter() - started
    studies = [_study(simulated, name, found, options) for name, found in results.items()]
    page = DemoPage(_done(options), _facts(options, seconds), studies, FILES)
    (folder / "figures" / "overview.png").write_bytes(page.overview())
    write_summary(folder, {"n": options.n, "seconds": seconds, "prior": options.prior, **numbers})
    partial = write_page(folder / f".{REPORT}.partial", "cryoprior demo", page.sections())
    report = partial.replace(folder / REPORT)
    correlations = {
        name: {key: found["clean_correlation"] for key, found in methods.items()} for name, methods in numbers.items()
    }
    return {"n": options.n, "seconds": seconds, "correlation_with_clean": correlations, "report": str(report)}


def _check_prior(name: str) -> None:
    """Raise InputError before anything is written, where the prior is missing or knows other boxes only."""
    try:
        boxes = load_prior(name).boxes
    except InputError as error:
        which = "the embedded prior cannot be read; " if name == "default" else ""
        raise InputError(
            f"<prior> {name}: {which}{error.message}; or pass <prior> with the folder of another"
        ) from None
    if boxes and BOX not in boxes:
        known = ", ".join(map(str, boxes))
        raise InputError(
            f"<prior> {name}: it knows boxes of {known}; the demo has boxes of {BOX}; pass another <prior>"
        )


def _claim(options: Options) -> Path:
    """Return the folder, empty of any earlier demo; what it holds of other origin stays.

    It is marked as a demo at once, and the report comes last: without one, the demo was interrupted.
    """
    folder = options.output.resolve()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{options.output}: a file; expected a folder; pass another <output>")
    if folder.is_dir() and any(folder.iterdir()):
        if not _is_demo(folder):
            raise InputError(
                f"{options.output}: in use, and not by a demo; expected a new folder; pass another <output>"
            )
        for part in PARTS[1:]:  # the mark stays until it is written anew
            path = folder / part
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    given = Path(options.prior)
    write_provenance(folder, "demo", options, [given] if given.is_dir() else [], options.seed)
    (folder / "figures").mkdir()
    return folder


def _is_demo(folder: Path) -> bool:
    try:
        recorded = json.loads((folder / MARK).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(recorded, dict) and recorded.get("command") == "demo"


def _simulate(folder: Path, options: Options) -> Path:
    """Return the folder of the simulated particles."""
    log.info("simulate: %d particles of a made-up assembly, signal-to-noise ratio %.2g", options.n, SNR)
    write_map(folder / "assembly.mrc", made_up_assembly(BOX, PIXEL_SIZE_ANGSTROM, options.seed), PIXEL_SIZE_ANGSTROM)
    _noise_table().to_csv(folder / "noise.csv", index=False)
    job = simulate.Options(
        structures=(folder / "assembly.mrc",),
        output=folder / "particles",
        n=options.n,
        box=BOX,
        pixel_size=PIXEL_SIZE_ANGSTROM,
        snr=SNR,
        noise_like=folder / "noise.csv",
        seed=options.seed,
    )
    simulate.run(job)
    return job.output


def _noise_table() -> pd.DataFrame:
    """Return a noise spectrum that falls to a third between 50 and 15 angstrom, as in vitreous ice on a detector."""
    frequency = np.linspace(0, 0.1, 33)
    return pd.DataFrame({"frequency_per_angstrom": frequency, "power": 0.75 + 1.5 / (1 + (frequency / 0.045) ** 6)})


def _results(folder: Path, simulated: Path, name: str, options: Options) -> list[Result]:
    """Return what every method made of one operator: measured once, reconstructed, judged."""
    _, operator = options.operators()[name]
    (folder / name).mkdir()
    measurements = folder / name / "measurements.zarr"
    measure.run(
        measure.Options(
            particles=simulated / "particles.star", output=measurements, operator=operator, seed=options.seed
        )
    )
    return [_result(simulated, measurements, method, options) for method in options.methods(name)]


def _result(simulated: Path, measurements: Path, method: Method, options: Options) -> Result:
    folder, slow = measurements.with_name(method.name), method.name == PAPER
    limit = options.few if slow else options.n
    log.info("reconstruct: %s masks, %d particles, %s", folder.parent.name, limit, method.solver)
    job = reconstruct.Options(
        measurements=measurements,
        output=folder,
        prior=options.prior,
        solver=method.solver,
        contrast="bright",
        batch=2 if slow else 8,
        limit=limit,
        threads=options.threads,
        seed=options.seed,
    )
    reconstructed = reconstruct.run(job)
    judged = evaluate.Options(
        reconstruction=folder,
        reference=simulated / "particles.star",
        clean=simulated / "clean.star",
        output=folder.with_name(f"{method.name}-report"),
        lpips="off",
        pictures=PICTURES,
        seed=options.seed,
    )
    return Result(method.name, method.title, folder, judged.output, reconstructed, evaluate.run(judged))


def _study(simulated: Path, name: str, results: list[Result], options: Options) -> Study:
    """Return what the page shows of one operator."""
    title, operator = options.operators()[name]
    whole = [r for r in reversed(results) if r.name != PAPER]
    paper_was_run = any(r.name == PAPER for r in results)
    order = sorted(results, key=lambda r: (r.name != PAPER, -results.index(r)))
    few = [r.scores_of_first(options.few, simulated / "clean.star") for r in order] if paper_was_run else []
    resolution, curves = clean_curves(whole)
    found = whole[0].reconstructed
    facts = [
        ("Operator", operator),
        ("Compression", f"{found['compression']:.3g} pixels for each number that is kept"),
    ]
    return Study(
        title,
        facts,
        _pictures(simulated, results, options),
        [*(r.scores() for r in whole), *whole[0].floors()],
        few,
        options.few,
        resolution,
        curves,
        _links(name, results),
    )


def _pictures(simulated: Path, results: list[Result], options: Options) -> list[PictureRow]:
    count = min(PICTURES, options.n)
    clean, noisy = (read_images(simulated / f"{stem}.star", count) for stem in ("clean", "particles"))
    images = {"clean (truth)": clean, "noisy original": noisy, **{r.title: r.images(count) for r in results}}
    return [
        PictureRow(f"particle {i + 1}", noisy[i], {title: stack[i] for title, stack in images.items()})
        for i in range(count)
    ]


def _links(name: str, results: list[Result]) -> list[FileLinks]:
    def of(result: Result) -> FileLinks:
        images, report = f"{name}/{result.folder.name}/particles.star", f"{name}/{result.report.name}/{REPORT}"
        return FileLinks(result.title, [("images", images), ("report", report)])

    return [FileLinks("Measurements", [("measurements.zarr", f"{name}/measurements.zarr")]), *map(of, results)]


FILES = (
    FileLinks("Particles", [("noisy", "particles/particles.star"), ("clean", "particles/clean.star")]),
    FileLinks("Assembly", [("assembly.mrc", "assembly.mrc")]),
    FileLinks("All numbers", [("summary.json", "summary.json")]),
    FileLinks("How it was made", [("provenance.json", "provenance.json")]),
    FileLinks("One picture", [("overview.png", "figures/overview.png")]),
)


def _done(options: Options) -> str:
    prior = "the embedded prior" if options.prior == "default" else f"the prior {options.prior}"
    return (
        f"{options.n} noisy images of a made-up assembly were simulated ({BOX} pixels of {PIXEL_SIZE_ANGSTROM:g} Å, "
        f"signal-to-noise ratio {SNR:g}), and the clean image of each was put aside as the truth. Of every image two "
        "sets of numbers were measured, sums of pixels under masks and Fourier coefficients, fewer than it has pixels. "
        "From these numbers alone it was reconstructed with no prior (least squares), with a power spectrum (Gaussian "
        f"prior), and with {prior} by the paper's sampler, by ours (exact)"
        + (" and in one evaluation (posterior)." if options.prior_knows_operators else ".")
    )


def _facts(options: Options, seconds: float) -> list[tuple[str, str]]:
    return [
        ("Particles", f"{options.n}; the paper's sampler reconstructs the first {options.few}"),
        ("Prior", "embedded" if options.prior == "default" else options.prior),
        ("Seed", str(options.seed)),
        ("Time", f"{seconds:.0f} seconds on this machine"),
    ]
