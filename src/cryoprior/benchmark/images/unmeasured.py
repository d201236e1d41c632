"""What images hold where nothing was measured: the power of samples, and the signal of all methods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from cryoprior.benchmark.images.method_images import MethodImages
from cryoprior.benchmark.images.plan import ImageMethod
from cryoprior.benchmark.images.sheet import Sheet
from cryoprior.benchmark.images.work import CellWork
from cryoprior.evaluation.pooled import PairSums, pooled_scores
from cryoprior.evaluation.unmeasured import FIRST_SHELL, LEVELS, coverage, missing_power, unmeasured

POWER = ("deviation", "error", "shell", "mean", "mean absolute")
NOTE = (
    "The unmeasured part, x − A⁺A x. Correlation: with that of the clean image, particles together. Power: of one "
    "sample per particle over that of the recorded images; its largest deviation from 1 over shells from "
    f"{FIRST_SHELL}, and the mean. Covered: share of the pixels of a recorded image within the interval that its "
    "samples give for a further draw (Student-t). ± one standard error, jackknife over particles."
)


def unmeasured_lines(cell: CellWork) -> Iterator[dict[str, Any]]:
    """Yield one line per method and seed; power is that of samples, and coverage needs two samples per particle."""
    for method in cell.wanted():
        for seed in cell.work.plan.seeds:
            images = cell.images(method, seed)
            line = {"cell": cell.cell.name, "method": method.name, "seed": seed}
            line |= {"n": len(images.x), "samples": method.samples}
            drawn = method.component.estimate == "sample" and not method.guess
            yield line | _signal(cell, images) | (_draws(cell, method, seed) if drawn else {})


def unmeasured_sums(cell: CellWork, images: MethodImages) -> PairSums:
    """Return the products of the unmeasured parts of images and of the clean ones, particle by particle."""
    assert cell.work.clean is not None
    n = len(images.x)
    parts = (unmeasured(cell.operator, x, cell.particles[:n]) for x in (images.x, cell.work.clean[:n]))
    return PairSums.of(*parts)


def _signal(cell: CellWork, images: MethodImages) -> dict[str, float]:
    known = cell.work.clean is not None
    return {"correlation": pooled_scores(unmeasured_sums(cell, images))["correlation"] if known else float("nan")}


def _draws(cell: CellWork, method: ImageMethod, seed: int) -> dict[str, float]:
    draws = [sample.x for sample in cell.samples(method, seed)]
    n = len(draws[0])
    recorded, particles = cell.work.original[:n], cell.particles[:n]
    power = missing_power(cell.operator, draws[0], recorded, particles)
    line = {f"power_{name.replace(' ', '_')}": float(power[name]) for name in POWER}
    shares = coverage(cell.operator, draws, recorded, particles) if len(draws) > 1 else {}
    for level, (share, error) in shares.items():
        line |= {f"covered_{level:.0%}": share, f"covered_{level:.0%}_error": error}
    return line


def unmeasured_sheet(lines: pd.DataFrame) -> Sheet:
    """Return the lines as a table."""
    columns = ["cell", "method", "n", "samples", "correlation", "power, largest deviation", "mean"]
    columns += [f"covered at {level:.0%}" for level in LEVELS]
    shown = [_shown(line) for line in lines.to_dict("records")]
    return Sheet("Where nothing was measured", columns, shown, NOTE, names=2)


def _shown(line: dict[str, Any]) -> list[str]:
    def known(name: str) -> bool:
        return bool(pd.notna(line.get(name)))

    named = [line["cell"], line["method"], f"{line['n']}", f"{line['samples']}"]
    named.append(f"{line['correlation']:.3f}" if known("correlation") else "")
    power = ["", ""]
    if known("power_mean"):
        worst = f"{line['power_deviation']:+.3f} ± {line['power_error']:.3f} at shell {line['power_shell']:.0f}"
        power = [worst, f"{line['power_mean']:.3f}"]
    covered = [f"covered_{level:.0%}" for level in LEVELS]
    shares = [f"{line[name]:.3f} ± {line[f'{name}_error']:.3f}" if known(name) else "" for name in covered]
    return [*named, *power, *shares]
