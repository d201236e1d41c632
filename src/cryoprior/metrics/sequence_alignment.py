"""Global alignment of two sequences with affine gaps, and which of several equally good ones is taken.

Of most pairs of chains many alignments have the best score, and numbers that are made of one of them, such as an RMSD,
depend on which. The score never does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from cryoprior.errors import InputError

TOLERANCE = 1e-9
UNKNOWN = "X"
GAP_IN_A, DIAGONAL, GAP_IN_B = 0, 1, 2


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
        """Return what a gap of a length costs, as a negative number."""
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
    """Return the optimal alignment that the paper's figures were made of.

    Going back from the ends, the first of these that keeps the score is taken: one residue of b alone; a pair; one
    residue of a alone; all that is left of b alone; several residues of a alone, most first; several of b, most first.
    Residues of b alone never come right before residues of a alone. This is the first alignment of
    Biopython's ``pairwise2.align.globalms``, a module that Biopython has announced to drop.
    """
    best = _best_scores(a, b, scores)
    pairs = _trace_back(a, b, best, scores)
    return _alignment(float(best[-1, -1]), pairs, a, b)


def first_alignments(a: str, b: str, scores: AlignmentScores, limit: int = 1) -> Iterator[SequenceAlignment]:
    """Yield optimal alignments in the order of Biopython's ``PairwiseAligner``, at most ``limit``."""
    found = _aligner(scores).align(a.replace(UNKNOWN, "x"), b.replace(UNKNOWN, "y"))
    for alignment in itertools.islice(found, limit):
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


def _best_scores(a: str, b: str, scores: AlignmentScores) -> Float64[np.ndarray, "n m"]:
    """Return the best score of every pair of beginnings of a and b, (len(a) + 1, len(b) + 1).

    Source: Gotoh 1982; a row at a time, its gaps in a by a running maximum, as opening a gap costs no less than
    extending one.
    """
    codes = [np.frombuffer(text.encode("latin-1"), np.uint8) for text in (a, b)]
    unknown = ord(UNKNOWN)
    ramp = scores.gap_extend * np.arange(len(b) + 1)
    best = np.empty((len(a) + 1, len(b) + 1))
    best[0] = scores.gap_open - scores.gap_extend + ramp
    best[0, 0] = 0
    gap_in_b = np.full(len(b) + 1, -np.inf)
    for i, letter in enumerate(codes[0], 1):
        same = (codes[1] == letter) & (letter != unknown)
        gap_in_b = np.maximum(best[i - 1] + scores.gap_open, gap_in_b + scores.gap_extend)
        row = gap_in_b.copy()
        row[1:] = np.maximum(row[1:], best[i - 1, :-1] + np.where(same, scores.match, scores.mismatch))
        opened = np.maximum.accumulate(row - ramp)[:-1] + ramp[1:] - scores.gap_extend + scores.gap_open
        row[1:] = np.maximum(row[1:], opened)
        best[i] = row
    return best


def _trace_back(a: str, b: str, best: Float64[np.ndarray, "n m"], scores: AlignmentScores) -> Int64[np.ndarray, "k 2"]:
    """Return the pairs of residues on the first way back that does not end in a gap in b right after one in a."""
    start = (len(a), len(b), False)
    ways = {start: _steps(a, b, best, scores, *start)}
    path, moves = [start], [(0, -1, 0)]
    while path[-1][0] and path[-1][1]:
        step = next(ways[path[-1]], None)
        if step is None:
            path.pop()
            moves.pop()
            continue
        kind, length = step
        i, j, _ = path[-1]
        place = (i - length * (kind != GAP_IN_A), j - length * (kind != GAP_IN_B), kind == GAP_IN_B)
        if place in ways or (place[0] == 0 and place[1] and place[2]):
            continue
        ways[place] = _steps(a, b, best, scores, *place)
        path.append(place)
        moves.append((i - 1, kind, j - 1))
    pairs = [(i, j) for i, kind, j in moves if kind == DIAGONAL]
    return np.array(pairs[::-1], np.int64).reshape(-1, 2)


def _steps(
    a: str, b: str, best: Float64[np.ndarray, "n m"], scores: AlignmentScores, i: int, j: int, gap_in_b: bool
) -> Iterator[tuple[int, int]]:
    """Yield the steps back from a place that keep the score, in the order of preference, each with its length."""
    here = best[i, j]
    if not gap_in_b and j > 0 and _same(here, best[i, j - 1] + scores.gap_open):
        yield GAP_IN_A, 1
    if i > 0 and j > 0:
        matches = a[i - 1] == b[j - 1] != UNKNOWN
        if _same(here, best[i - 1, j - 1] + (scores.match if matches else scores.mismatch)):
            yield DIAGONAL, 1
    if i > 0 and _same(here, best[i - 1, j] + scores.gap_open):
        yield GAP_IN_B, 1
    of_a = _long_gaps(here, best[i, :j], scores) if not gap_in_b else []
    of_b = _long_gaps(here, best[:i, j], scores)
    yield from ((GAP_IN_A, k) for k in of_a if k == j)
    yield from ((GAP_IN_B, k) for k in of_b[::-1])
    yield from ((GAP_IN_A, k) for k in of_a[::-1] if k < j)


def _long_gaps(here: float, before: Float64[np.ndarray, " n"], scores: AlignmentScores) -> list[int]:
    """Return the lengths of two or more that a gap up to here may have; ``before`` are the scores along it."""
    length = np.arange(2, len(before) + 1)
    ways = before[len(before) - length] + scores.gap_open + (length - 1) * scores.gap_extend
    return [int(k) for k in length[np.abs(ways - here) <= TOLERANCE * max(1.0, abs(here))]]


def _same(x: float, y: float) -> bool:
    return bool(abs(x - y) <= TOLERANCE * max(1.0, abs(x)))
