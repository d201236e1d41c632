"""``cryoprior bench``: a comparison of methods as one command, from a TOML file, resumable."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cryoprior.benchmark.images.plan import ImagesPlan
from cryoprior.benchmark.images.table import run_images
from cryoprior.benchmark.maps.table import run_maps
from cryoprior.benchmark.plan import MapsPlan
from cryoprior.benchmark.toml import read_plan
from cryoprior.devices import choose_device
from cryoprior.errors import InputError
from cryoprior.options import COMPUTING, Computing, argument, check_options, option, output_option
from cryoprior.output.record import write_provenance, write_summary

PLAN = "plan.toml"


EXAMPLE = "cryoprior bench bench.toml -o bench/"


@dataclass(frozen=True)
class Options(Computing):
    plan: Path = argument("Benchmark (.toml): particles, cells, methods; docs/benchmarks.md names the keys.")
    output: Path = output_option("Folder to fill; what it holds already is kept, so an interrupted run goes on.")
    cells: str | None = option(
        "Of a table of images, only the cells whose names hold these words: 'K=16 hadamard, uniform C=10'.", None
    )
    particles: int | None = option("Of a table of images, only so many of the first particles.", None, minimum=1)
    batch: int = option("Particles in memory at a time.", 32, minimum=1, group=COMPUTING)

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    plan = _narrowed(read_plan(options.plan), options)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    folder = options.output.resolve()
    _claim(folder, options.plan)
    computing = {"batch": options.batch, "threads": options.threads, "device": str(choose_device(options.device))}
    make = run_images if isinstance(plan, ImagesPlan) else run_maps
    summary = make(plan, folder, **computing)  # type: ignore[arg-type]
    write_provenance(folder, "bench", options, [options.plan], plan.seed)
    write_summary(folder, summary)
    return {"title": summary["title"], "rows": len(summary["rows"]), "report": str(folder / "report.html")}


def _narrowed(plan: ImagesPlan | MapsPlan, options: Options) -> ImagesPlan | MapsPlan:
    """Return the plan for a quick look, where cells or particles were chosen."""
    if isinstance(plan, ImagesPlan):
        return plan.narrowed(options.cells, options.particles)
    if options.cells is not None or options.particles is not None:
        raise InputError(
            f"{options.plan}: table = 'maps'; <cells> and <particles> are for a table of images; leave them out"
        )
    return plan


def _claim(folder: Path, plan: Path) -> None:
    """Make the folder of a benchmark, or go on in one that was begun; another plan may add cells and methods."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: a file; expected a folder; pass another <output>")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / PLAN).is_file():
        raise InputError(f"{folder}: in use by something else than a benchmark; pass another <output>")
    if (folder / PLAN).is_file() and _kind(folder / PLAN) != _kind(plan):
        raise InputError(
            f"{folder}: holds a benchmark with table = {_kind(folder / PLAN)!r}; {plan} has {_kind(plan)!r}; "
            "pass another <output>"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PLAN).write_text(plan.read_text(encoding="utf-8"), encoding="utf-8")


def _kind(plan: Path) -> str:
    return str(tomllib.loads(plan.read_text(encoding="utf-8")).get("table"))
