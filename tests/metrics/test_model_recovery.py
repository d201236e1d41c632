"""Matching of C-alphas one to one, what it says of a model, and the frame it is done in."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryoprior.errors import InputError
from cryoprior.metrics.atomic_model import Residues, chain_pairs
from cryoprior.metrics.model_recovery import common_frame, match_points, moved, recovery


def chain(n: int, seed: int = 0, name: str = "A") -> Residues:
    rng = np.random.default_rng(seed)
    sequence = "".join(rng.choice(list("ARNDCQEGHILKMFPSTWYV"), n))
    walk = np.stack([3.8 * np.arange(n), 12.0 * np.sin(np.arange(n) / 5), rng.normal(size=n)], 1)
    walk = walk + np.array([0, 90.0 * seed, 0])
    return Residues(name, sequence, walk[:, None] + rng.normal(scale=0.8, size=(n, 4, 3)) * [[[1], [0], [1], [1]]])


def test_a_model_with_itself() -> None:
    chains = [chain(30), chain(1, 1), chain(12, 2)]
    found = recovery(chains, chains).summary()
    assert found["matched"] == found["residues_a"] == found["residues_b"] == 43
    assert found["recall"] == found["precision"] == found["sequence_match"] == found["completeness"] == 1
    assert found["ca_rmsd_angstrom"] == found["backbone_rmsd_angstrom"] == 0


def test_recall_precision_match_and_completeness_of_a_part() -> None:
    whole, extra = chain(40), chain(10, 5)
    wrong = "".join("W" if i < 6 and c != "W" else "A" if i < 6 else c for i, c in enumerate(whole.sequence[:30]))
    part = [Residues("A", wrong, whole.backbone[:30] + np.array([0.3, 0, 0.4])), extra]
    found = recovery(part, [whole]).summary()
    assert (found["matched"], found["residues_a"], found["residues_b"]) == (30, 40, 40)
    assert (found["recall"], found["precision"]) == (30 / 40, 30 / 40)
    assert (found["sequence_match"], found["completeness"]) == (24 / 30, 24 / 40)
    assert found["ca_rmsd_angstrom"] == pytest.approx(0.5)
    assert found["backbone_rmsd_angstrom"] == pytest.approx(0.5)
    assert recovery(part, [whole], 0.4).summary()["matched"] == 0


def test_matching_is_one_to_one_and_optimal() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        a, b = rng.uniform(0, 3, (rng.integers(1, 6), 3)), rng.uniform(0, 3, (rng.integers(1, 6), 3))
        i, j, distance = match_points(a, b, 1.5)
        assert len(set(i.tolist())) == len(set(j.tolist())) == len(i)
        assert (distance <= 1.5).all()
        assert (len(i), pytest.approx(distance.sum())) == best_matching(a, b, 1.5)


def best_matching(a: np.ndarray, b: np.ndarray, limit: float) -> tuple[int, float]:
    """Return the most pairs and their least sum of distances, by trying all."""
    apart = np.linalg.norm(a[:, None] - b[None], axis=-1)
    best = (0, 0.0)
    for size in range(1, min(len(a), len(b)) + 1):
        for rows in itertools.combinations(range(len(a)), size):
            for columns in itertools.permutations(range(len(b)), size):
                found = apart[list(rows), list(columns)]
                if (found <= limit).all() and (size, -found.sum()) > (best[0], -best[1]):
                    best = (size, float(found.sum()))
    return best


def test_points_in_one_place_are_matched() -> None:
    points = np.zeros((3, 3))
    i, j, distance = match_points(points, points[:2], 1.0)
    assert (len(i), len(set(j.tolist())), distance.sum()) == (2, 2, 0)


def test_nothing_to_match_gives_no_ratio_to_zero() -> None:
    one = [chain(5)]
    none = recovery([], one).summary()
    assert (none["recall"], none["precision"], none["sequence_match"], none["backbone_rmsd_angstrom"]) == (
        0,
        None,
        None,
        None,
    )
    assert recovery([], []).summary()["recall"] is None
    far = recovery(one, [chain(5, 3)]).summary()
    assert (far["matched"], far["ca_rmsd_angstrom"]) == (0, None)


def test_unknown_types_never_agree_and_residues_without_a_c_alpha_are_no_part() -> None:
    one = chain(20)
    unknown = Residues("A", "X" * 20, one.backbone)
    assert recovery([unknown], [unknown]).summary()["sequence_match"] == 0
    gappy = one.backbone.copy()
    gappy[:5, 1] = np.nan
    gappy[10, 3] = np.nan
    found = recovery([Residues("A", one.sequence, gappy)], [one])
    assert (found.residues_a, found.residues_b, len(found.places)) == (15, 20, 15)
    assert found.places[0].tolist() == [5, 5]
    assert found.backbone_rmsd == 0


def test_models_in_frames_of_their_own_are_brought_together() -> None:
    one, other = chain(60), chain(45, 3, "B")
    turn, shift = Rotation.from_rotvec([1.0, 0.3, -2.0]).as_matrix(), np.array([30.0, -20.0, 90.0])
    noise = np.random.default_rng(4)
    away = [
        Residues(c.name, c.sequence, (c.backbone + noise.normal(scale=0.2, size=c.backbone.shape)) @ turn.T + shift)
        for c in (one, other)
    ]
    assert recovery(away, [one, other]).summary()["recall"] < 0.1
    motion = common_frame(away, [one, other], chain_pairs(away, [one, other]))
    found = recovery(moved(away, motion), [one, other]).summary()
    assert found["recall"] == found["precision"] == 1
    assert found["backbone_rmsd_angstrom"] == pytest.approx(0.2 * 3**0.5, rel=0.1)
    np.testing.assert_allclose(motion.rotation, turn.T, atol=0.01)


def test_no_pair_to_superpose_with_and_a_distance_of_zero_are_refused() -> None:
    with pytest.raises(InputError, match="no pair of chains to superpose"):
        common_frame([chain(5)], [chain(5)], [])
    with pytest.raises(InputError, match="C-alpha distance 0"):
        recovery([chain(5)], [chain(5)], 0.0)
