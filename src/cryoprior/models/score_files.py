"""The files of two models that were compared: tables, pictures and one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cryoprior.io.atomic_models import ModelChain
from cryoprior.metrics.superposition import Superposition
from cryoprior.models.figures import ModelTrace, confidence_histogram, model_traces, pair_distributions
from cryoprior.models.page import ScorePage, text
from cryoprior.models.score import ModelScore
from cryoprior.models.tables import matched_chains, matched_residues, pair_table
from cryoprior.report.page import Alert, write_page

if TYPE_CHECKING:
    import pandas as pd


def write_score(folder: Path, score: ModelScore, summary: Mapping[str, Any]) -> None:
    """Write tables, pictures and report.html into the folder."""
    tables = matched_residues(score.a.chains, score.b.chains, score.matched)
    if score.deposited:
        tables[1]["confidence"] = np.nan
    pairs = pair_table(score.pairs)
    for name, table in (
        ("residues_a.csv", tables[0]),
        ("residues_b.csv", tables[1]),
        ("chains_a.csv", matched_chains(score.a.chains, tables[0])),
        ("chains_b.csv", matched_chains(score.b.chains, tables[1])),
        ("pairs.csv", pairs),
    ):
        table.to_csv(folder / name, index=False, float_format="%.6g")
    page = _page(score, summary, tables, pairs)
    for name, picture in page.pictures.items():
        (folder / name).write_bytes(picture)
    write_page(folder / "report.html", "Two atomic models", page.sections(), f"{score.a.path} and {score.b.path}")


def _page(
    score: ModelScore, summary: Mapping[str, Any], tables: tuple[pd.DataFrame, pd.DataFrame], pairs: pd.DataFrame
) -> ScorePage:
    names = f"a: {score.a.path.name}", f"b: {score.b.path.name}"
    traces = [
        _trace(names[0], score.a.chains, tables[0], score.motion),
        _trace(names[1], score.b.chains, tables[1], None),
    ]
    known = {name: t for name, t in zip(names, tables, strict=True) if t["confidence"].notna().any()}
    histogram = {n: (t["confidence"].to_numpy(np.float64), t["atoms"].to_numpy(np.float64)) for n, t in known.items()}
    measured = pairs[pairs["rmsd_angstrom"].notna()]
    values = [measured[name].to_numpy(np.float64) for name in ("rmsd_angstrom", "score", "identity")]
    rows = [
        [row.chain_a, row.chain_b, f"{row.score:g}", f"{100 * row.identity:.0f} %", str(row.aligned), _rmsd(row)]
        for row in pairs.itertuples()
    ]
    warnings = [Alert("Read with care", warning, "danger") for warning in summary["warnings"]]
    pictures = model_traces(traces), confidence_histogram(histogram)
    return ScorePage(names, summary, rows, *pictures, pair_distributions(*values) if len(measured) else None, warnings)


def _trace(name: str, chains: Sequence[ModelChain], table: pd.DataFrame, motion: Superposition | None) -> ModelTrace:
    ends = np.cumsum([len(chain) for chain in chains])[:-1]
    confidence = np.split(table["confidence"].to_numpy(np.float64), ends)
    return ModelTrace(name, [motion.apply(c.trace) if motion else c.trace for c in chains], confidence)


def _rmsd(row: Any) -> str:
    return text(None if np.isnan(row.rmsd_angstrom) else row.rmsd_angstrom)
