"""Global alignment: the best score, found by both ways, and which of equally good alignments is taken."""

from __future__ import annotations

import itertools
import random
import sys

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.metrics.sequence_alignment import (
    AlignmentScores,
    SequenceAlignment,
    align_published,
    first_alignments,
)

SCORES = AlignmentScores()


def score_of(a: str, b: str, pairs: np.ndarray, scores: AlignmentScores) -> float:
    """Return what an alignment earns, gap by gap; unpaired residues of both between two pairs are two gaps."""
    places = np.concatenate([[[-1, -1]], pairs, [[len(a), len(b)]]])
    gaps = (np.diff(places, axis=0) - 1).ravel()
    total = sum(scores.match if a[i] == b[j] != "X" else scores.mismatch for i, j in pairs)
    return float(total + sum(scores.gap(int(length)) for length in gaps if length))


def random_pair(rng: random.Random, letters: str = "ACD", longest: int = 14) -> tuple[str, str]:
    a, b = ("".join(rng.choices(letters, k=rng.randint(1, longest))) for _ in "ab")
    return a, b


def test_the_score_is_that_of_the_alignment_and_no_other_alignment_has_a_better_one() -> None:
    rng = random.Random(0)
    for _ in range(150):
        a, b = random_pair(rng)
        ours, first = align_published(a, b, SCORES), next(first_alignments(a, b, SCORES))
        assert ours.score == pytest.approx(first.score)
        assert ours.score == pytest.approx(score_of(a, b, ours.pairs, SCORES))
        assert (np.diff(ours.pairs, axis=0) > 0).all()


def test_the_published_choice_differs_from_the_first_and_goes_with_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)
    drawn = [random_pair(rng) for _ in range(50)]
    both = [(align_published(a, b, SCORES), next(first_alignments(a, b, SCORES))) for a, b in drawn]
    assert any(ours.pairs.tolist() != first.pairs.tolist() for ours, first in both)
    import Bio

    monkeypatch.delattr(Bio, "pairwise2", raising=False)
    monkeypatch.setitem(sys.modules, "Bio.pairwise2", None)
    with pytest.raises(InputError, match=r"Biopython [\d.]+ has no pairwise2; .* or take the tie break first"):
        align_published("A", "A", SCORES)


def test_identity_counts_all_columns() -> None:
    for align in (align_published, lambda a, b, s: next(first_alignments(a, b, s))):
        found: SequenceAlignment = align("AAKKWWGG", "KKWW", SCORES)
        assert (found.columns, len(found.pairs), found.identity) == (8, 4, 0.5)
        same = align("AKW", "AKW", SCORES)
        assert (same.score, same.identity, same.columns) == (6, 1, 3)


def test_unknown_residues_match_nothing() -> None:
    for found in (align_published("XXXX", "XXXX", SCORES), next(first_alignments("XXXX", "XXXX", SCORES))):
        assert found.identity == 0
        assert found.score < 0


def test_one_residue_and_sequences_without_anything_in_common() -> None:
    assert align_published("A", "A", SCORES).pairs.tolist() == [[0, 0]]
    assert align_published("A", "W", SCORES).score == -1
    assert align_published("W", "AAAA", SCORES).score == next(first_alignments("W", "AAAA", SCORES)).score


def test_several_optima_are_given_and_all_have_the_best_score() -> None:
    found = list(itertools.islice(first_alignments("AKA", "AA", SCORES, 10), 10))
    assert len({one.score for one in found}) == 1
    many = list(first_alignments("AAAAAA", "AAA", SCORES, 50))
    assert len(many) > 1
    assert len(list(first_alignments("AAAAAA", "AAA", SCORES, 2))) == 2


@pytest.mark.parametrize("wrong", [(0, -1, -2, -0.5), (2, 3, -2, -0.5), (2, -1, -0.5, -2), (2, -1, 1, 1)])
def test_scores_that_make_no_sense_are_refused(wrong: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="expected match above 0 and mismatch, and gap open <= extend <= 0"):
        AlignmentScores(*wrong)
