"""A benchmark of images from its plan to its tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryoprior.benchmark.images.method_images import ImagesBySeed
from cryoprior.benchmark.images.page import ImageTable
from cryoprior.benchmark.images.pairs import ImagePairs
from cryoprior.benchmark.images.plan import DownstreamPlan, ImagesPlan
from cryoprior.benchmark.images.rows import ImageRows, columns
from cryoprior.benchmark.images.scorer import Scorer
from cryoprior.benchmark.images.unmeasured import unmeasured_lines
from cryoprior.benchmark.images.work import CellWork, ImageWork
from cryoprior.errors import InputError
from cryoprior.evaluation.lpips import choose_lpips
from cryoprior.output.stored_json import read_json
from cryoprior.progress import track


def run_images(plan: ImagesPlan, folder: Path, **computing: Any) -> dict[str, Any]:
    """Return the summary of a table of images, written into the folder with its pictures."""
    published, downstream = plan.figures, [_downstream(plan, wanted) for wanted in plan.downstream]
    work = ImageWork(plan, folder, **computing)
    lpips, note = choose_lpips(plan.lpips, work.stacks[0].box)
    scorer = Scorer(work.original, work.clean, lpips, plan.scores, float(work.stacks[0].pixel_size[0]))
    rows, pairs = ImageRows(work, scorer), ImagePairs(plan, scorer)
    lines, compared, drawn = [rows.full(), *rows.stored()], list[dict[str, Any]](), list[dict[str, Any]]()
    examples: dict[str, dict[str, np.ndarray]] = {}
    for cell in track(list(work.cells()), "cells", len(plan.all_cells)):
        images: ImagesBySeed = {(m.name, s): cell.images(m, s) for m in cell.wanted() for s in plan.seeds}
        lines += rows.cell(cell, images)
        compared += pairs.cell(cell, images)
        drawn += unmeasured_lines(cell) if plan.unmeasured else ()
        if cell.cell.name in plan.named:
            examples[cell.cell.name] = _example(cell, images)
    table = ImageTable(
        title=plan.title,
        rows=pd.DataFrame(lines, columns=columns(plan.scores)),
        pairs=pd.DataFrame(compared),
        unmeasured=pd.DataFrame(drawn),
        examples=examples,
        published=published,
        downstream=downstream,
        headline=plan.headline,
        facts=_facts(work, note),
    )
    table.write(folder)
    return table.summary()


def _example(cell: CellWork, images: ImagesBySeed) -> dict[str, np.ndarray]:
    """Return pictures of the first particle by title: the clean image, the recorded one, least squares, the methods."""
    work, seed = cell.work, cell.work.plan.seed
    first = {} if work.clean is None else {"clean": work.clean[0].numpy()}
    measured = {"least squares": cell.least_squares[0].numpy()}
    shown = {
        m.name: images[m.name, seed].x[0].numpy() for m in cell.wanted() if m.component.estimate != "least-squares"
    }
    return {**first, "original": work.original[0].numpy(), **measured, **shown}


def _facts(work: ImageWork, note: str) -> list[tuple[str, str]]:
    plan, stack = work.plan, work.stacks[0]
    source = "simulated" if plan.simulate is not None else stack.path.name
    facts = [
        ("Particles", f"{stack.n}, {source}"),
        ("Box", f"{stack.box} pixels of {float(stack.pixel_size[0]):.3f} Å"),
        ("Noise added to each number", f"{plan.sigma:g}"),
        (
            "Priors",
            "; ".join(f"{name} ({digest.rpartition(':')[2][:16]})" for name, (_, digest) in work.priors.items()),
        ),
        ("Network", f"{plan.dtype} on {work.device}, batches of {work.batch}"),
        ("Seeds", ", ".join(map(str, plan.seeds))),
    ]
    return [*facts, ("LPIPS", note)] if note else facts


def _downstream(plan: ImagesPlan, wanted: DownstreamPlan) -> dict[str, Any]:
    """Return the row of Table 5 that the summaries of other commands hold."""
    number = int | float | None
    shares = {"agreement": number, "agreement_by_cluster": list}
    states = _summary(plan, wanted.heterogeneity, "heterogeneity", shares)
    keys = ("confidence_a", "confidence_b", "chains_a", "chains_b", "pairs", "mean_rmsd_angstrom")
    model = _summary(plan, wanted.model, "model score", dict.fromkeys(keys, number))
    return {
        "method": wanted.method,
        "agreement": {f"cluster {i}": share for i, share in enumerate(states.get("agreement_by_cluster", []))} or None,
        "agreement_all": states.get("agreement"),
        "chains": (model["chains_a"], model["chains_b"]) if model else None,
        "pairs": model.get("pairs"),
        "rmsd_angstrom": model.get("mean_rmsd_angstrom"),
        "confidence": (model["confidence_a"], model["confidence_b"]) if model else None,
    }


def _summary(plan: ImagesPlan, folder: str | None, command: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    if folder is None:
        return {}
    path = plan.path(folder) / "summary.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the output of cryoprior {command}; run it first")
    summary = read_json(path, "a summary", f"run cryoprior {command} again", keys)
    missing = [key for key in keys if key not in summary]
    if missing:
        raise InputError(f"{path}: no {', '.join(missing)}; expected the output of cryoprior {command}")
    return summary
