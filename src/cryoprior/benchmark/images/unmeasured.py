"""What the samples of a benchmark hold where nothing was measured: the power of the data, and the truth in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from cryoprior.benchmark.images.plan import ImageMethod
from cryoprior.benchmark.images.sheet import Sheet
from cryoprior.benchmark.images.work import CellWork
from cryoprior.evaluation.unmeasured import FIRST_SHELL, LEVELS, coverage, missing_power

NOTE = (
    "The unmeasured part of samples, x − A⁺A x, beside that of the recorded images. Power: ratio over shells from "
    f"{FIRST_SHELL}, of one sample a particle, its largest deviation from 1 and the mean. Covered: share of the pixels "
    "of a recorded image within the interval that its samples give for a further draw (Student-t). ± one standard "
    "error, jackknife over particles."
)


def unmeasured_lines(cell: CellWork) -> Iterator[dict[str, Any]]:
    """Yield a line for each method that draws samples and each seed; coverage needs two samples of a particle."""
    for method in [m for m in cell.wanted() if m.component.estimate == "sample" and not m.guess]:
        for seed in cell.work.plan.seeds:
            yield {"cell": cell.cell.name, "method": method.name, "seed": seed} | _line(cell, method, seed)


def _line(cell: CellWork, method: ImageMethod, seed: int) -> dict[str, Any]:
    draws = [sample.x for sample in cell.samples(method, seed)]
    n = len(draws[0])
    recorded, particles = cell.work.original[:n], cell.particles[:n]
    power = missing_power(cell.operator, draws[0], recorded, particles)
    line: dict[str, Any] = {"n": n, "samples": len(draws)}
    line |= {"power_deviation": power["deviation"], "power_error": power["error"], "power_shell": power["shell"]}
    line |= {"power_mean": power["mean"], "power_mean_absolute": power["mean absolute"]}
    shares = coverage(cell.operator, draws, recorded, particles) if len(draws) > 1 else {}
    for level in LEVELS:
        share, error = shares.get(level, (float("nan"), float("nan")))
        line |= {f"covered_{level:.0%}": share, f"covered_{level:.0%}_error": error}
    return line


def unmeasured_sheet(lines: pd.DataFrame) -> Sheet:
    """Return the lines as a table."""
    columns = ["cell", "method", "n", "samples", "power, largest deviation", "mean"]
    columns += [f"covered at {level:.0%}" for level in LEVELS]
    return Sheet(
        "Samples where nothing was measured", columns, [_shown(line) for line in lines.to_dict("records")], NOTE, 2
    )


def _shown(line: dict[str, Any]) -> list[str]:
    worst = f"{line['power_deviation']:+.3f} ± {line['power_error']:.3f} at shell {line['power_shell']}"
    shares = [(line[f"covered_{level:.0%}"], line[f"covered_{level:.0%}_error"]) for level in LEVELS]
    covered = ["" if pd.isna(share) else f"{share:.3f} ± {error:.3f}" for share, error in shares]
    return [
        line["cell"],
        line["method"],
        f"{line['n']}",
        f"{line['samples']}",
        worst,
        f"{line['power_mean']:.3f}",
        *covered,
    ]
