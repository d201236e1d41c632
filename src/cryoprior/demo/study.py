"""From the runs of the demo to its page: what each operator gave, and the words around it."""

from __future__ import annotations

from collections.abc import Mapping

from cryoprior.demo.page import DemoPage, FileLinks, PictureRow, Study
from cryoprior.demo.particles import BOX, PIXEL_SIZE_ANGSTROM, SNR
from cryoprior.demo.results import Result, clean_curves, read_images
from cryoprior.demo.runs import PAPER, PICTURES, Demo
from cryoprior.demo.signals import signal_blocks
from cryoprior.report.page import write_page

REPORT = "report.html"
FILES = (
    FileLinks("Particles", [("noisy", "particles/particles.star"), ("clean", "particles/clean.star")]),
    FileLinks("Assembly", [("assembly.mrc", "assembly.mrc")]),
    FileLinks("All numbers", [("summary.json", "summary.json")]),
    FileLinks("How it was made", [("provenance.json", "provenance.json")]),
    FileLinks("One picture", [("overview.png", "figures/overview.png")]),
)


def write_demo_page(demo: Demo, results: Mapping[str, list[Result]], map_says: str, seconds: float) -> None:
    """Write the page and its first picture; ``results`` are those of every operator, ``seconds`` what all took."""
    studies = [_study(demo, name, of_operator) for name, of_operator in results.items()]
    page = DemoPage(_done(demo), map_says, _facts(demo, seconds), studies, FILES)
    (demo.folder / "figures").mkdir(exist_ok=True)
    (demo.folder / "figures" / "overview.png").write_bytes(page.overview())
    write_page(demo.folder / REPORT, "cryoprior demo", page.sections())


def _study(demo: Demo, name: str, results: list[Result]) -> Study:
    """Return what the page shows of one operator."""
    title, operator = demo.operators()[name]
    whole = [r for r in reversed(results) if r.name != PAPER]
    paper_was_run = any(r.name == PAPER for r in results)
    order = sorted(results, key=lambda r: (r.name != PAPER, -results.index(r)))
    few = [r.scores_of_first(demo.few, demo.simulated / "clean.star") for r in order] if paper_was_run else []
    resolution, curves = clean_curves(whole)
    compression = whole[0].reconstructed["compression"]
    size = whole[0].reconstructed["bytes_per_particle"]
    facts = [
        ("Operator", operator),
        ("Compression", f"{compression:.3g} pixels for each number that is kept; {size:,.0f} bytes a particle"),
    ]
    return Study(
        title,
        facts,
        _pictures(demo, results),
        [*(r.scores() for r in whole), *whole[0].floors()],
        few,
        demo.few,
        resolution,
        curves,
        _links(name, results),
        signal_blocks(demo, results),
    )


def _pictures(demo: Demo, results: list[Result]) -> list[PictureRow]:
    count = min(PICTURES, demo.n)
    clean, noisy = (read_images(demo.simulated / f"{stem}.star", count) for stem in ("clean", "particles"))
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


def _done(demo: Demo) -> str:
    prior = "the embedded prior" if demo.prior == "default" else f"the prior {demo.prior}"
    return (
        f"{demo.n} noisy images of a made-up assembly were simulated ({BOX} pixels of {PIXEL_SIZE_ANGSTROM:g} Å, "
        f"signal-to-noise ratio {SNR:g}), and the clean image of each was put aside as the truth. Of every image two "
        "sets of numbers were measured, sums of pixels under masks and Fourier coefficients, fewer than it has pixels. "
        "From these numbers alone it was reconstructed with no prior (least squares), with a power spectrum (Gaussian "
        f"prior), and with {prior} by the paper's sampler, by ours (exact)"
        + (
            " and in one evaluation (posterior), which gives the signal without the noise too."
            if demo.prior_knows_operators
            else "."
        )
    )


def _facts(demo: Demo, seconds: float) -> list[tuple[str, str]]:
    return [
        ("Particles", f"{demo.n}; the paper's sampler reconstructs the first {demo.few}"),
        ("Prior", "embedded" if demo.prior == "default" else demo.prior),
        ("Seed", str(demo.seed)),
        ("Time", f"{seconds:.0f} seconds on this machine"),
    ]
