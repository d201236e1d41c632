"""``cryoprior model score``: compares two atomic models by chains of like sequence and residues in one place."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.options import INPUT, argument, check_options, option, output_option, overwrite_option

TIE_BREAKS = ("first", "published", "best")
"""Those of cryoprior.metrics.atomic_model, which would load torch for a --help."""
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
    distance: float = option("Largest distance between matching C-alphas, in angstrom.", 2.0, minimum=0.1, maximum=5)
    superpose: bool = option("Bring A into the frame of B first, for maps in frames of their own.", False)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    """Return the summary of how two models agree; tables, pictures and a page are in the output."""
    from cryoprior.models.score import score_models
    from cryoprior.models.score_files import write_score
    from cryoprior.output.folder import claim_output
    from cryoprior.output.record import write_provenance, write_summary

    start = time.perf_counter()
    rules = {
        f.name: getattr(options, f.name) for f in dataclasses.fields(options) if f.name not in ("output", "overwrite")
    }
    inputs = [options.a, options.b]
    with claim_output(options.output, "model score", overwrite=options.overwrite, inputs=inputs) as folder:
        score = score_models(**rules)
        summary = score.summary()
        write_score(folder, score, summary)
        write_provenance(folder, "model score", options, inputs)
        summary["seconds"] = time.perf_counter() - start
        write_summary(folder, summary)
    return summary
