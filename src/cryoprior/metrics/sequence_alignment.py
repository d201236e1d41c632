"""Global alignment of two sequences with affine gaps, and which of several equally good ones is taken.

Most pairs of chains have many alignments with the best score, and numbers made from one of them, such as an RMSD,
depend on which. The score never does.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from jaxtyping import Int64

from cryoprior.errors import InputError

UNKNOWN, GAP = "X", "-"


@dataclass(frozen=True)
class AlignmentScores:
    """What an alignment earns and pays; the defaults are those of the paper. Unknown residues (X) match nothing."""

    match: float = 2.0
    mismatch: float = -1.0
    gap_open: float = -2.0
    gap_extend: float = -0.5

    def __post_init__(self) -> None:
        if not self.match > max(self.mismatch, 0) or not self.gap_open <= self.gap_extend <= 0:
            raise InputError(
                f"alignment scores: match {self.match}, mismatch {self.mismatch}, gap open {self.gap_open}, extend "
                f"{self.gap_extend}; expected match above 0 and mismatch, and gap open <= extend <= 0; change them"
            )

    def gap(self, length: int) -> float:
        """Return the cost of a gap of a length, a negative number."""
        return self.gap_open + (length - 1) * self.gap_extend


@dataclass(frozen=True)
class SequenceAlignment:
    """An optimal alignment: its score, its columns, and which residues it pairs.

    identity: pairs of the same residue over all columns, gaps among them.
    """

    score: float
    columns: int
    pairs: Int64[np.ndarray, "k 2"]
    identity: float


def align_published(a: str, b: str, scores: AlignmentScores) -> SequenceAlignment:
    """Return the optimal alignment that the paper's figures were made of: the first one of Biopython's pairwise2.

    Raises
    ------
    InputError: a Biopython that has dropped that module, as it has announced.
    """
    pairwise2 = _pairwise2()
    weights = (scores.match, scores.mismatch, scores.gap_open, scores.gap_extend)
    texts = a.replace(UNKNOWN, "x"), b.replace(UNKNOWN, "y")
    best = pairwise2.align.globalms(*texts, *weights, one_alignment_only=True)[0]
    columns = np.array([list(best.seqA), list(best.seqB)]) != GAP
    places = columns.cumsum(1) - 1
    return _alignment(float(best.score), places[:, columns.all(0)].T, a, b)


def first_alignments(a: str, b: str, scores: AlignmentScores, limit: int = 1) -> Iterator[SequenceAlignment]:
    """Yield optimal alignments in the order of Biopython's ``PairwiseAligner``, at most ``limit``."""
    alignments = _aligner(scores).align(a.replace(UNKNOWN, "x"), b.replace(UNKNOWN, "y"))
    for alignment in itertools.islice(alignments, limit):
        blocks = [
            np.stack([np.arange(*of_a), np.arange(*of_b)], 1) for of_a, of_b in zip(*alignment.aligned, strict=True)
        ]
        pairs = np.concatenate([np.empty((0, 2), np.int64), *blocks])
        yield _alignment(float(alignment.score), pairs, a, b)


def _aligner(scores: AlignmentScores) -> Any:
    from Bio.Align import PairwiseAligner

    make: Any = PairwiseAligner
    return make(
        mode="global",
        match_score=scores.match,
        mismatch_score=scores.mismatch,
        open_gap_score=scores.gap_open,
        extend_gap_score=scores.gap_extend,
    )


def _alignment(score: float, pairs: Int64[np.ndarray, "k 2"], a: str, b: str) -> SequenceAlignment:
    columns = len(a) + len(b) - len(pairs)
    same = sum(a[i] == b[j] != UNKNOWN for i, j in pairs)
    return SequenceAlignment(score, columns, pairs, same / columns if columns else 0.0)


def _pairwise2() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it will be dropped
        try:
            from Bio import pairwise2
        except ImportError:
            raise InputError(
                f"tie break published: Biopython {version('biopython')} has no pairwise2; expected the module whose "
                "first alignment the paper took; install biopython 1.88, or take the tie break first"
            ) from None
    return pairwise2
