"""Samples at equal power: are the samples of a peer nearer to the truth, or only nearer to a mean?

A draw of the right law has the power of a recorded image. A sampler whose draws have less lies between a draw and the
mean, and scores better for that alone. Here a draw of `exact` goes towards the mean of `exact`, m + a (s - m), until it
has the power of the peer's, and both are held against the clean images, on the images of a finished benchmark.

    python -m benchmarks.images.equal_power PLAN.toml OUT [--particles 16]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from benchmarks.kit.table import ROOT, command, markdown, write, write_csv
from torch import Tensor

from cryoprior.benchmark.images.plan import ImageMethod, ImagesPlan
from cryoprior.benchmark.images.work import CellWork, ImageWork
from cryoprior.benchmark.toml import read_plan
from cryoprior.evaluation.pooled import PairSums, pooled_gain

MEAN, SAMPLE = "exact mean", "exact sample"
HEAD = """# Samples at equal power

FRC with the clean image of `exact` less that of the peer, with paired standard errors (jackknife over particles): of
its draws as they are, and moved towards its mean until they have the power of the peer's, m + a (s - m), a from 0 to 1.
Power: variance of the images over that of the recorded ones. A peer of more power than a draw of `exact` is compared
with the draw as it is. Mean and draw together take 49 evaluations of the network.
Every cell: equal_power/comparisons.csv.

"""


def towards(mean: Tensor, sample: Tensor, power: float) -> tuple[Tensor, float]:
    """Return m + a (s - m) of that power (variance about each image's mean, averaged), and a, within 0 and 1."""
    m, d = (x.double() - x.double().mean((-2, -1), keepdim=True) for x in (mean, sample - mean))
    square, cross, left = float((d * d).sum()), float((m * d).sum()), float((m * m).sum()) - power * m.numel()
    a = (-cross + max(cross**2 - square * left, 0.0) ** 0.5) / square
    a = min(max(a, 0.0), 1.0)
    return mean + a * (sample - mean), a


def power_of(x: Tensor) -> float:
    """Return the variance of images about their own mean, averaged."""
    return float(x.double().var(dim=(-2, -1), correction=0).mean())


def compared(cell: CellWork, plan: ImagesPlan, particles: int | None) -> list[dict[str, Any]]:
    """Return a line for each peer of a cell that gives samples."""
    methods = {method.name: method for method in cell.wanted()}
    clean, seed = cell.work.clean, plan.seed
    if clean is None or MEAN not in methods or SAMPLE not in methods:
        raise SystemExit(f"{cell.cell.name}: expected clean images and the methods {MEAN!r} and {SAMPLE!r}")
    mean, sample = (cell.images(methods[name], seed).x for name in (MEAN, SAMPLE))

    def sums(x: Tensor) -> PairSums:
        return PairSums.of(x, clean[: len(x)])

    lines = []
    for peer in [m for m in methods.values() if _is_peer(m)]:
        theirs = cell.images(peer, seed).x[:particles]
        n = len(theirs)
        mixed, a = towards(mean[:n], sample[:n], power_of(theirs))
        recorded = power_of(cell.work.original[:n])
        line: dict[str, Any] = {"cell": cell.cell.name, "peer": peer.name, "n": n, "a": a}
        line |= {"power": power_of(theirs) / recorded, "power of a draw": power_of(sample[:n]) / recorded}
        for name, ours in (("draw", sample[:n]), ("equal power", mixed)):
            line[name], line[f"{name}, error"] = pooled_gain(sums(ours), sums(theirs))["frc"]
        lines.append(line)
    return lines


def _is_peer(method: ImageMethod) -> bool:
    return method.estimate == "sample" and not method.ours


def verdict(lines: Sequence[dict[str, Any]]) -> str:
    """Return in how many comparisons ours is lower, as it is and at equal power."""
    words = []
    for name in ("draw", "equal power"):
        lower = [line for line in lines if line[name] < -2 * line[f"{name}, error"]]
        words.append(f"{name}: lower by more than two standard errors in {len(lower)} of {len(lines)}")
    return "; ".join(words) + ".\n\n"


def by_peer(lines: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """Return a row for each peer: how many cells, in how many ours is lower, and the median power and gains."""
    rows = []
    for peer in dict.fromkeys(line["peer"] for line in lines):
        of_peer = [line for line in lines if line["peer"] == peer]
        row: list[Any] = [peer, len(of_peer), f"{median(line['power'] for line in of_peer):.2f}"]
        for name in ("draw", "equal power"):
            lower = sum(line[name] < -2 * line[f"{name}, error"] for line in of_peer)
            row += [lower, f"{median(line[name] for line in of_peer):+.4f}"]
        rows.append(row)
    return rows


def table(rows: Sequence[Sequence[Any]]) -> str:
    """Return the rows as Markdown."""
    header = ["peer", "cells", "power of the peer, median", "draw: lower in", "median Δ FRC"]
    return markdown([*header, "equal power: lower in", "median Δ FRC"], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("plan", type=Path, help="plan of the benchmark")
    asked.add_argument("folder", type=Path, help="its finished folder")
    asked.add_argument("--out", type=Path, default=ROOT / "results")
    asked.add_argument("--particles", type=int, help="only so many of the first ones")
    asked.add_argument("--batch", type=int, default=16, help="that of the benchmark's run")
    options = asked.parse_args(arguments)
    torch.set_num_threads(1)
    plan = read_plan(options.plan)
    assert isinstance(plan, ImagesPlan)
    work = ImageWork(plan, options.folder.resolve(), options.batch)
    result = [line for cell in work.cells() for line in compared(cell, plan, options.particles)]
    write_csv(options.out / "equal_power" / "comparisons.csv", result)
    shown = command("images.equal_power", [f"benchmarks/images/{options.plan.name}", "OUT"])
    write(options.out / "equal_power.md", HEAD + verdict(result) + table(by_peer(result)) + f"\n    {shown}\n")


if __name__ == "__main__":
    main()
