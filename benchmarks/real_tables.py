"""The tables of real particles: scores by cell beside the paper's, and where they fall short."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cells import Cell
from table import markdown

LEAST, GAUSSIAN, MEAN, SAMPLE, NESTEROV = "LS", "gaussian", "mean", "sample", "nesterov"
SOLVERS = {
    LEAST: "least-squares",
    GAUSSIAN: "gaussian",
    MEAN: "exact:steps={steps}",
    SAMPLE: "exact:estimate=sample,steps={steps}",
}
TOLERANCE = 0.005


def average(result: dict[str, Any], solver: str, score: str, n: int | None = None) -> float | None:
    """Return the mean of a score over the first n images; least squares speaks for all where A is invertible."""
    values = result.get(solver, result.get(LEAST, {})).get(score)
    return sum(values[:n]) / len(values[:n]) if values else None


def flags(cell: Cell, result: dict[str, Any]) -> list[str]:
    """Return ``LS``, ``paper`` and ``lpips`` where the cell falls short in these."""
    found = []
    mean, least = average(result, MEAN, "ssim"), average(result, LEAST, "ssim")
    assert mean is not None
    assert least is not None
    if mean < least - TOLERANCE:
        found.append("LS")
    if cell.comparable and round(mean, 2) < cell.ssim:
        found.append("paper")
    distances = [average(result, solver, "lpips") for solver in (MEAN, SAMPLE)]
    known = [distance for distance in distances if distance is not None]
    if known and round(min(known), 2) > cell.lpips:
        found.append("lpips")
    return found


def counts(cells: Sequence[Cell], results: dict[str, Any]) -> str:
    """Return in words how many cells carry each flag."""
    raised = [flag for cell in cells for flag in flags(cell, results[cell.name])]
    text = ", ".join(f"{flag} in {raised.count(flag)}" for flag in ("LS", "paper", "lpips"))
    return f"Flags of {len(cells)} cells: {text}.\n\n"


def cell_tables(cells: Sequence[Cell], results: dict[str, Any]) -> str:
    """Return one table for each of the paper's."""
    text = ""
    for table, title in ((1, "Pixel masks (Table 1)"), (2, "Fourier masks (Table 2)")):
        here = [cell for cell in cells if cell.table == table]
        if here:
            text += f"### {title}\n\n" + _cell_table(here, results) + "\n"
    return text


def _cell_table(cells: Sequence[Cell], results: dict[str, Any]) -> str:
    scores = ["paper", *SOLVERS]
    header = ["mask", "C", "masks", "C eff.", *(f"SSIM {name}" for name in scores)]
    header += [f"[-1, 1] {name}" for name in (LEAST, MEAN, SAMPLE)]
    header += [*(f"LPIPS {name}" for name in scores), "flags"]
    rows = []
    for cell in cells:
        result = results[cell.name]
        row: list[Any] = [cell.mask, f"{cell.compression:g}", cell.variant, f"{result['effective']:.2f}", cell.ssim]
        row += [_cell(result, solver, "ssim") for solver in SOLVERS]
        row += [_cell(result, solver, "ssim_range2") for solver in (LEAST, MEAN, SAMPLE)]
        row += [cell.lpips, *(_cell(result, solver, "lpips") for solver in SOLVERS)]
        rows.append([*row, ", ".join(flags(cell, result))])
    return markdown(header, rows)


def _cell(result: dict[str, Any], solver: str, score: str) -> float | str | None:
    return average(result, solver, score) if solver in result else "="


def nesterov_table(cells: Sequence[Cell], sampled: dict[str, Any], results: dict[str, Any], n: int, steps: int) -> str:
    """Return the paper's sampler beside the others on the same n images."""
    solvers = (LEAST, MEAN, SAMPLE)
    header = ["cell", *(f"SSIM {name}" for name in ("paper", NESTEROV, *solvers))]
    header += [*(f"LPIPS {name}" for name in ("paper", NESTEROV, *solvers)), "residual", "s an image"]
    rows = []
    for cell in cells:
        own, others = sampled[cell.name], results[cell.name]
        row: list[Any] = [cell.name]
        for score, printed in (("ssim", cell.ssim), ("lpips", cell.lpips)):
            row += [printed, average(own, NESTEROV, score), *(average(others, s, score, n) for s in solvers)]
        seconds = own[NESTEROV if NESTEROV in own else LEAST]["seconds"] / n
        rows.append([*row, average(own, NESTEROV, "residual"), f"{seconds:.1f}"])
    return f"### The paper's sampler (`nesterov`), {steps} evaluations, {n} images\n\n" + markdown(header, rows)
