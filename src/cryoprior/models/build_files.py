"""The files of a model that was built: tables, pictures, one page and summary.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cryoprior.io.atomic_models import AtomicModel, read_atomic_model
from cryoprior.models.figures import ModelTrace, confidence_histogram, model_traces
from cryoprior.models.page import BuildPage
from cryoprior.models.tables import chain_table, residue_table, traces
from cryoprior.output.files import write_whole
from cryoprior.output.record import write_provenance, write_summary
from cryoprior.report.page import write_page

if TYPE_CHECKING:
    import pandas as pd

MODEL, RAW, LOG, PROFILES = "model.cif", "model_raw.cif", "modelangelo.log", "hmm_profiles"
BUILT = (
    *(MODEL, RAW, LOG, "residues.csv", "chains.csv", "traces.png", "confidence.png"),
    *("report.html", "provenance.json", "summary.json"),
)
"""The names of the files of a build."""
COUNTED = 20
"""Fewest residues of a chain that is counted."""


def write_build(
    folder: Path, facts: Mapping[str, Any], options: Any, inputs: Sequence[Path], title: str
) -> dict[str, Any]:
    """Return the summary of the model in the folder, written beside it with tables, pictures and a page.

    Parameters
    ----------
    facts: what is known of the build, for the end of the summary.
    options, inputs: what provenance.json records. title: what the page says it was built from.
    """
    model = read_atomic_model(folder / MODEL)
    residues = residue_table(model.chains)
    summary = {
        "residues": len(residues),
        "protein_residues": sum(len(chain) for chain in model.protein),
        "nucleotides": sum(len(chain) for chain in model.nucleic),
        "chains": len(model.chains),
        "chains_20": sum(len(chain) >= COUNTED for chain in model.protein),
        "longest_chain": max(len(chain) for chain in model.chains),
        "mean_confidence": model.mean_b_factor,
        **facts,
    }
    for name, table in (("residues.csv", residues), ("chains.csv", chain_table(model.chains))):
        write_whole(folder / name, table.to_csv(index=False, float_format="%.6g"))
    page = _page(model, residues, summary)
    for name, picture in page.pictures.items():
        write_whole(folder / name, picture)
    write_page(folder / "report.html", "Atomic model", page.sections(), title)
    write_provenance(folder, "model build", options, inputs)
    write_summary(folder, summary)
    return summary


def _page(model: AtomicModel, residues: pd.DataFrame, summary: Mapping[str, Any]) -> BuildPage:
    trace = ModelTrace("model", *traces(model.chains))
    confidence = {"model": tuple(residues[name].to_numpy(np.float64) for name in ("confidence", "atoms"))}
    return BuildPage(summary, model_traces([trace]), confidence_histogram(confidence))
