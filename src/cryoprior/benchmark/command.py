"""``cryoprior bench``: compares methods as a TOML file asks, in one resumable run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryoprior.errors import InputError
from cryoprior.options import COMPUTING, Computing, argument, check_options, option, output_option

if TYPE_CHECKING:
    from cryoprior.benchmark.images.plan import ImagesPlan
    from cryoprior.benchmark.plan import MapsPlan

PLAN = "plan.toml"
FOLDERS = ("particles", "cells", "maps", "poses", "posed", "units")
MAKES = (PLAN, *FOLDERS, "*.csv", "*.json", "*.md", "*.mrc", "*.png", "*.html")
"""What a benchmark makes in its folder."""
EXAMPLE = "cryoprior bench bench.toml -o bench/"


@dataclass(frozen=True)
class Options(Computing):
    plan: Path = argument("Benchmark (.toml): particles, cells, methods; docs/benchmarks.md names the keys.")
    output: Path = output_option("Folder to fill; what it holds already is kept, so an interrupted run goes on.")
    cells: str | None = option(
        "Only the cells of a table of images whose names hold these words: 'K=16 hadamard, uniform C=10'.", None
    )
    particles: int | None = option("Use only the first particles, for a table of images.", None, minimum=1)
    batch: int = option("Particles in memory at a time.", 32, minimum=1, group=COMPUTING)

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    """Return how many rows the table has, and where the page is."""
    from cryoprior.benchmark.images.plan import ImagesPlan
    from cryoprior.benchmark.images.table import run_images
    from cryoprior.benchmark.maps.table import run_maps
    from cryoprior.benchmark.toml import read_plan
    from cryoprior.devices import choose_device, limit_threads
    from cryoprior.output.files import write_whole
    from cryoprior.output.folder import resume_output
    from cryoprior.output.record import write_provenance, write_summary

    plan = _narrowed(read_plan(options.plan), options)
    limit_threads(options.threads)
    computing = {"batch": options.batch, "threads": options.threads, "device": str(choose_device(options.device))}
    make = run_images if isinstance(plan, ImagesPlan) else run_maps
    kind = {"table": "images" if isinstance(plan, ImagesPlan) else "maps"}
    reads = [options.plan, *plan.reads()]
    with resume_output(options.output, "bench", kind, makes=MAKES, inputs=reads, reopen=True) as work:
        write_whole(work.folder / PLAN, options.plan.read_text(encoding="utf-8"))
        summary = make(plan, work.folder, **computing)  # type: ignore[arg-type]
        write_provenance(work.folder, "bench", options, [options.plan], plan.seed)
        write_summary(work.folder, summary)
        folder = work.complete()
    return {"title": summary["title"], "rows": len(summary["rows"]), "report": str(folder / "report.html")}


def _narrowed(plan: ImagesPlan | MapsPlan, options: Options) -> ImagesPlan | MapsPlan:
    """Return the plan, in part where cells or particles were chosen."""
    from cryoprior.benchmark.images.narrowing import narrowed
    from cryoprior.benchmark.images.plan import ImagesPlan

    if isinstance(plan, ImagesPlan):
        return narrowed(plan, options.cells, options.particles)
    if options.cells is not None or options.particles is not None:
        raise InputError(
            f"{options.plan}: table = 'maps'; <cells> and <particles> are for a table of images; leave them out"
        )
    return plan
