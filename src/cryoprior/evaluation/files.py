"""What ``evaluate`` writes: the report, its numbers as JSON, and tables by particle and by shell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryoprior.evaluation.comparison import Comparison
from cryoprior.evaluation.evaluating import Evaluation
from cryoprior.evaluation.gathering import Images
from cryoprior.evaluation.page import EvaluationPage, Example
from cryoprior.output.record import to_json, write_summary
from cryoprior.report.page import Alert, write_page


def examples(images: Images, rows: np.ndarray, wanted: int) -> list[Example]:
    """Return at most ``wanted`` particles of a batch as pictures."""
    return [
        Example(
            f"particle {rows[i] + 1}",
            images.original[i].cpu().numpy(),
            images.floors["least_squares"][i].cpu().numpy(),
            images.reconstruction[i].cpu().numpy(),
            None if images.clean is None else images.clean[i].cpu().numpy(),
        )
        for i in range(max(0, min(wanted, len(rows))))
    ]


def write_evaluation(
    folder: Path,
    compared: Comparison,
    evaluation: Evaluation,
    pictures: Sequence[Example],
    warnings: Sequence[Alert],
    name: str,
) -> dict[str, Any]:
    """Return the summary; it, the page, and the tables are written into the folder."""
    summary = {**evaluation.summary, "warnings": [warning.title for warning in warnings]}
    page = EvaluationPage(
        scores=evaluation.scores,
        clean=evaluation.clean,
        facts=_facts(compared, evaluation.n),
        examples=pictures,
        resolution_angstrom=evaluation.shells["resolution_angstrom"],
        frc_original=evaluation.curves("frc", "original"),
        frc_clean=evaluation.curves("frc", "clean"),
        power=evaluation.curves("power", "original"),
        warnings=warnings,
        estimate=str(compared.recorded.get("estimate") or ""),
        lpips_note=evaluation.lpips_note,
    )
    write_page(folder / "report.html", "Reconstruction report", page.sections(), name)
    write_summary(folder, summary)
    report = {**summary, "scores": page.scores, "facts": dict(page.facts), "shells": evaluation.shells}
    (folder / "report.json").write_text(to_json(report) + "\n")
    pd.DataFrame(evaluation.shells).to_csv(folder / "frc.csv", index=False, float_format="%.6g")
    names = compared.reconstruction.table["rlnImageName"].iloc[: evaluation.n].tolist()
    table = pd.DataFrame({"image": names, **evaluation.particles})
    table.to_csv(folder / "particles.csv", index=False, float_format="%.6g")
    return summary


def _facts(compared: Comparison, n: int) -> list[tuple[str, str]]:
    recorded, measurements, operator = compared.recorded, compared.measurements, compared.operator
    solver = ", ".join(str(recorded[key]) for key in ("solver", "estimate") if recorded.get(key))
    return [
        ("Particles", f"{n} of {len(compared.reconstruction)}"),
        ("Box", f"{compared.box} pixels of {compared.pixel_size_angstrom:.3f} Å"),
        ("Operator", measurements.operator_spec),
        ("Compression", f"{operator.compression:.3g} nominal, {operator.effective_compression:.3g} by rank"),
        ("Size", f"{measurements.bytes_per_particle:,.0f} bytes a particle; {4 * operator.n:,} for the whole image"),
        ("Measurement noise", f"{measurements.sigma:.3g} (standard deviation of each number)"),
        ("Solver", solver or "not recorded"),
        ("Prior", str(recorded.get("prior") or "not recorded")),
    ]
