"""Agreement of two atomic models by pairs of chains with like sequences, as the paper scores it.

Every protein chain of one model is aligned with every one of the other; pairs of enough identity are superposed over
the backbone of their aligned residues. A chain may be in several pairs, as it is in the paper. The rules look at no
place in space: a pair may lie in two corners of the map.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from cryoprior.errors import InputError
from cryoprior.metrics.sequence_alignment import (
    AlignmentScores,
    SequenceAlignment,
    align_published,
    first_alignments,
)
from cryoprior.metrics.superposition import Superposition, superpose

TIE_BREAKS = ("first", "published", "best")
OPTIMA = 1000
"""How many equally good alignments ``best`` looks at; a few pairs have more."""


@dataclass(frozen=True)
class Residues:
    """A protein chain as it is aligned: a letter per residue, and N, CA, C, O in angstrom, NaN where absent."""

    name: str
    sequence: str
    backbone: Float64[np.ndarray, "n 4 3"]

    def __post_init__(self) -> None:
        if len(self.sequence) != len(self.backbone):
            lengths = f"{len(self.sequence)} letters, {len(self.backbone)} residues with coordinates"
            raise InputError(f"chain {self.name}: {lengths}; expected as many of both")

    def __len__(self) -> int:
        return len(self.sequence)


@dataclass(frozen=True)
class PairRules:
    """Which chains are paired, and how. The defaults are the paper's.

    minimum_residues: shorter chains are left out.
    minimum_identity: identical residues over all columns of the alignment, its gaps among them, 0 to 1.
    tie_break: which of several optimal alignments counts: ``first`` of Biopython's PairwiseAligner, ``published``
        (see :func:`align_published`), or ``best``, that of least RMSD among the first 1,000.
    """

    minimum_residues: int = 20
    minimum_identity: float = 0.4
    scores: AlignmentScores = field(default_factory=AlignmentScores)
    tie_break: str = "first"

    def __post_init__(self) -> None:
        if self.tie_break not in TIE_BREAKS:
            raise InputError(f"tie break {self.tie_break!r}; expected one of {', '.join(TIE_BREAKS)}")
        if self.minimum_residues < 1 or not 0 <= self.minimum_identity <= 1:
            limits = f"{self.minimum_residues} residues, identity {self.minimum_identity}"
            raise InputError(f"pairs of chains: {limits}; expected 1 residue or more and an identity from 0 to 1")


@dataclass(frozen=True)
class ChainPair:
    """Two chains of like sequence: their alignment, and the motion of the first onto the second over the backbone.

    ``superposition`` is None where fewer than three atoms are common to the aligned residues.
    """

    a: Residues
    b: Residues
    alignment: SequenceAlignment
    superposition: Superposition | None

    @property
    def rmsd(self) -> float | None:
        """Return the RMSD over N, CA, C and O of the aligned residues in angstrom, None without a superposition."""
        return self.superposition.rmsd if self.superposition else None


def chain_pairs(a: Sequence[Residues], b: Sequence[Residues], rules: PairRules | None = None) -> list[ChainPair]:
    """Return the pairs of chains, one of each model, that pass the rules, in the order of the chains."""
    rules = rules or PairRules()
    long_a, long_b = ([c for c in chains if len(c) >= rules.minimum_residues] for chains in (a, b))
    pairs = (_pair(x, y, rules) for x, y in itertools.product(long_a, long_b) if _can_reach(x, y, rules))
    return [pair for pair in pairs if pair is not None]


def summarise_pairs(pairs: Sequence[ChainPair]) -> dict[str, Any]:
    """Return the number of pairs and the means of score, identity and RMSD over them; None where there is no pair."""
    rmsd = [pair.rmsd for pair in pairs if pair.rmsd is not None]
    return {
        "pairs": len(pairs),
        "mean_score": _mean([pair.alignment.score for pair in pairs]),
        "mean_identity": _mean([pair.alignment.identity for pair in pairs]),
        "mean_rmsd_angstrom": _mean(rmsd),
        "median_rmsd_angstrom": float(np.median(rmsd)) if rmsd else None,
        "standard_error_rmsd_angstrom": float(np.std(rmsd, ddof=1) / len(rmsd) ** 0.5) if len(rmsd) > 1 else None,
    }


def common_backbone(
    a: Residues, b: Residues, pairs: Int64[np.ndarray, "k 2"]
) -> tuple[Float64[np.ndarray, "p 3"], Float64[np.ndarray, "p 3"]]:
    """Return the backbone atoms that both residues of a pair have, of a and of b, row by row."""
    of_a, of_b = a.backbone[pairs[:, 0]].reshape(-1, 3), b.backbone[pairs[:, 1]].reshape(-1, 3)
    there = np.isfinite(of_a).all(1) & np.isfinite(of_b).all(1)
    return of_a[there], of_b[there]


def _can_reach(a: Residues, b: Residues, rules: PairRules) -> bool:
    """Return whether the lengths allow the identity: an alignment has at least as many columns as the longer chain."""
    return min(len(a), len(b)) >= rules.minimum_identity * max(len(a), len(b))


def _pair(a: Residues, b: Residues, rules: PairRules) -> ChainPair | None:
    optima = [align_published(a.sequence, b.sequence, rules.scores)] if rules.tie_break == "published" else []
    if not optima:
        optima = list(first_alignments(a.sequence, b.sequence, rules.scores))
    if optima[0].identity < rules.minimum_identity:
        return None
    if rules.tie_break == "best":
        every = first_alignments(a.sequence, b.sequence, rules.scores, OPTIMA)
        optima = [one for one in every if one.identity >= rules.minimum_identity]
    candidates = [ChainPair(a, b, one, superpose(*common_backbone(a, b, one.pairs))) for one in optima]
    return min(candidates, key=lambda pair: float("inf") if pair.rmsd is None else pair.rmsd)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
