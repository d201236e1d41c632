"""``cryoprior model score``: two atomic models compared by chains of like sequence, and by what lies where."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryoprior.io.atomic_models import AtomicModel, ModelChain, read_atomic_model
from cryoprior.metrics.atomic_model import (
    TIE_BREAKS,
    ChainPair,
    PairRules,
    Residues,
    chain_pairs,
    summarise_pairs,
)
from cryoprior.metrics.model_recovery import Recovery, common_frame, moved, recovery
from cryoprior.metrics.sequence_alignment import AlignmentScores
from cryoprior.metrics.superposition import Superposition
from cryoprior.models.figures import ModelTrace, confidence_histogram, model_traces, pair_distributions
from cryoprior.models.page import ScorePage, text
from cryoprior.models.tables import matched_chains, matched_residues, pair_table, protein_residues
from cryoprior.options import INPUT, argument, check_options, option, output_option, overwrite_option
from cryoprior.output.folder import claim_output
from cryoprior.output.record import write_provenance, write_summary
from cryoprior.report.page import Alert, write_page

FEW = 0.1
"""Below this share of matched C-alphas two models are taken to lie in different frames."""

log = logging.getLogger("cryoprior")


EXAMPLE = "cryoprior model score model/model.cif deposited.cif --deposited -o score/"


@dataclass(frozen=True)
class Options:
    a: Path = argument("Model of ModelAngelo (.cif, .pdb, .gz), with its confidence in the B-factor.")
    b: Path = argument("Model to compare it with: of ModelAngelo too, or with --deposited any structure.")
    output: Path = output_option("Folder to write.")
    deposited: bool = option("B is a deposited structure, whose B-factors are no confidence.", False, group=INPUT)
    minimum_residues: int = option("Leave out shorter chains.", 20, minimum=1)
    minimum_identity: float = option(
        "Identity of a pair of chains: identical residues over all columns of their alignment.",
        0.4,
        minimum=0,
        maximum=1,
    )
    match: float = option("Alignment score of two identical residues.", 2.0)
    mismatch: float = option("Alignment score of two different residues.", -1.0)
    gap_open: float = option("Alignment score of the first residue of a gap.", -2.0, maximum=0)
    gap_extend: float = option("Alignment score of each further residue of a gap.", -0.5, maximum=0)
    tie_break: str = option(
        "Which of equally good alignments gives the RMSD: the first of Biopython's PairwiseAligner, that of the paper, "
        "or the one of least RMSD.",
        "first",
        choices=TIE_BREAKS,
    )
    distance: float = option("Farthest that matching C-alphas are apart, in angstrom.", 2.0, minimum=0.1, maximum=5)
    superpose: bool = option("Bring A into the frame of B first, for maps in frames of their own.", False)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        check_options(self)
        _ = self.rules

    @property
    def rules(self) -> PairRules:
        """Return the rules by which chains are paired."""
        scores = AlignmentScores(self.match, self.mismatch, self.gap_open, self.gap_extend)
        return PairRules(self.minimum_residues, self.minimum_identity, scores, self.tie_break)


@dataclass(frozen=True)
class ModelComparison:
    """Two models with their pairs of chains and the residues that match, the first model in the frame it is judged in.

    ``chains_a`` and ``chains_b`` are the protein chains; ``motion`` brought a into the frame of b, None if none did.
    """

    a: AtomicModel
    b: AtomicModel
    chains_a: Sequence[Residues]
    chains_b: Sequence[Residues]
    pairs: Sequence[ChainPair]
    matched: Recovery
    motion: Superposition | None


def run(options: Options) -> dict[str, Any]:
    start = time.perf_counter()
    a = read_atomic_model(options.a)
    b = read_atomic_model(options.b, confidence=not options.deposited)
    with claim_output(options.output, overwrite=options.overwrite) as folder:
        found = _compare(options, a, b)
        summary = _summary(options, found)
        _write(folder, options, found, summary)
        summary["seconds"] = time.perf_counter() - start
        write_summary(folder, summary)
    return summary


def _compare(options: Options, a: AtomicModel, b: AtomicModel) -> ModelComparison:
    chains_a, chains_b = protein_residues(a.chains), protein_residues(b.chains)
    pairs, motion = chain_pairs(chains_a, chains_b, options.rules), None
    if options.superpose:
        motion = common_frame(chains_a, chains_b, pairs, options.distance)
        chains_a = moved(chains_a, motion)
    matched = recovery(chains_a, chains_b, options.distance)
    return ModelComparison(a, b, chains_a, chains_b, pairs, matched, motion)


def _summary(options: Options, found: ModelComparison) -> dict[str, Any]:
    long = options.minimum_residues
    sides = {"a": found.a, "b": found.b}
    confidence = {"a": found.a.mean_b_factor, "b": None if options.deposited else found.b.mean_b_factor}
    recovered = found.matched.summary()
    summary: dict[str, Any] = {
        **{f"confidence_{side}": confidence[side] for side in sides},
        **{f"chains_{side}": sum(len(c) >= long for c in model.protein) for side, model in sides.items()},
        **summarise_pairs(found.pairs),
        "pairs_without_rmsd": sum(pair.rmsd is None for pair in found.pairs),
        "tie_break": options.tie_break,
        "recovery": {"distance_angstrom": options.distance, **recovered},
        **{f"protein_chains_{side}": len(model.protein) for side, model in sides.items()},
        **{f"nucleic_chains_{side}": len(model.nucleic) for side, model in sides.items()},
        **{f"residues_{side}": sum(map(len, model.chains)) for side, model in sides.items()},
        **{f"unknown_residues_{side}": _unknown(model) for side, model in sides.items()},
        "deposited": options.deposited,
        "superposed": found.motion is not None,
        "warnings": _warnings(options, found, recovered),
    }
    if found.motion is not None:
        summary["motion"] = {"rotation": found.motion.rotation, "shift_angstrom": found.motion.shift}
    for warning in summary["warnings"]:
        log.warning("%s", warning)
    return summary


def _unknown(model: AtomicModel) -> int:
    return sum(chain.sequence.count("X") for chain in model.chains)


def _warnings(options: Options, found: ModelComparison, recovered: dict[str, Any]) -> list[str]:
    warnings = []
    if not found.pairs:
        warnings.append(
            f"no pair of chains of {options.minimum_residues} residues and {100 * options.minimum_identity:.0f} % "
            "identity; their means are not given"
        )
    recall = recovered["recall"]
    if not found.chains_a or not found.chains_b:
        warnings.append("a model without protein: nothing to match; nucleic acids are counted, not compared")
    elif found.motion is None and (recall or 0) < FEW:
        warnings.append(
            f"{100 * (recall or 0):.1f} % of the second model's C-alphas have a partner within {options.distance:g} A; "
            "the maps may have frames of their own; superpose them"
        )
    return warnings


def _write(folder: Path, options: Options, found: ModelComparison, summary: dict[str, Any]) -> None:
    tables = matched_residues(found.a.chains, found.b.chains, found.matched)
    if options.deposited:
        tables[1]["confidence"] = np.nan
    pairs = pair_table(found.pairs)
    for name, table in (
        ("residues_a.csv", tables[0]),
        ("residues_b.csv", tables[1]),
        ("chains_a.csv", matched_chains(found.a.chains, tables[0])),
        ("chains_b.csv", matched_chains(found.b.chains, tables[1])),
        ("pairs.csv", pairs),
    ):
        table.to_csv(folder / name, index=False, float_format="%.6g")
    page = _page(options, found, summary, tables, pairs)
    for name, picture in page.pictures.items():
        (folder / name).write_bytes(picture)
    write_page(folder / "report.html", "Two atomic models", page.sections(), f"{options.a} and {options.b}")
    write_provenance(folder, "model score", options, [options.a, options.b])


def _page(
    options: Options,
    found: ModelComparison,
    summary: dict[str, Any],
    tables: tuple[pd.DataFrame, pd.DataFrame],
    pairs: pd.DataFrame,
) -> ScorePage:
    names = f"a: {options.a.name}", f"b: {options.b.name}"
    traces = [
        _trace(names[0], found.a.chains, tables[0], found.motion),
        _trace(names[1], found.b.chains, tables[1], None),
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
