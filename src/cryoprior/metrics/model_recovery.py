"""How much of a reference model another one has built: C-alphas in the same place, residues of the same type.

Both models lie in one frame. C-alphas are paired one to one within a distance: as many as possible, and of all such
pairings the one of the least sum of distances. ModelAngelo's own evaluation pairs within 3 A, nearest pairs first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

from cryoprior.errors import InputError
from cryoprior.metrics.atomic_model import ChainPair, Residues
from cryoprior.metrics.superposition import Superposition, superpose

UNMATCHED = 1e6
"""Costs more than all distances that one further pair can add to the others."""
CANDIDATES, ROUNDS = 10, 3
UNKNOWN = "X"


@dataclass(frozen=True, repr=False)
class Recovery:
    """The C-alphas of model a that match those of the reference b, in one frame.

    places: rows (residue of a, residue of b), residues counted through all chains.
    distance: between the C-alphas of each, in angstrom.
    same_type: whether both are the same known amino acid.
    residues_a, residues_b: residues with a C-alpha.
    backbone_rmsd: over N, CA, C, O of the matched residues, where they lie; None without a match.
    """

    places: Int64[np.ndarray, "k 2"]
    distance: Float64[np.ndarray, " k"]
    same_type: Bool[np.ndarray, " k"]
    residues_a: int
    residues_b: int
    backbone_rmsd: float | None

    def __repr__(self) -> str:
        return f"Recovery({len(self.places)} C-alphas matched, of {self.residues_a} in a and {self.residues_b} in b)"

    def summary(self) -> dict[str, Any]:
        """Return recall, precision, sequence match and completeness with b as the reference; None for a ratio to 0.

        recall: share of b's C-alphas that are matched; precision: share of a's; sequence_match: share of the matched
        with the same residue type; completeness: share of b's residues that are matched with it.
        """
        matched, same = len(self.places), int(self.same_type.sum())
        ca_rmsd = float(np.sqrt(np.square(self.distance).mean())) if matched else None
        return {
            "matched": matched,
            "residues_a": self.residues_a,
            "residues_b": self.residues_b,
            "recall": _share(matched, self.residues_b),
            "precision": _share(matched, self.residues_a),
            "sequence_match": _share(same, matched),
            "completeness": _share(same, self.residues_b),
            "ca_rmsd_angstrom": ca_rmsd,
            "backbone_rmsd_angstrom": self.backbone_rmsd,
        }


def recovery(a: Sequence[Residues], b: Sequence[Residues], distance_angstrom: float = 2.0) -> Recovery:
    """Return the C-alphas of a that match those of b within a distance.

    Raises
    ------
    InputError: a distance that is not above 0.
    """
    if not distance_angstrom > 0:
        raise InputError(f"C-alpha distance {distance_angstrom} angstrom; expected above 0")
    places_a, places_b = (_with_c_alpha(chains) for chains in (a, b))
    backbone_a, backbone_b = _backbone(a), _backbone(b)
    rows, columns, distance = match_points(backbone_a[places_a, 1], backbone_b[places_b, 1], distance_angstrom)
    i, j = places_a[rows], places_b[columns]
    letters = [np.array(list("".join(c.sequence for c in chains)), "U1") for chains in (a, b)]
    same = (letters[0][i] == letters[1][j]) & (letters[0][i] != UNKNOWN)
    off = np.square(backbone_a[i] - backbone_b[j]).sum(-1)
    off = off[np.isfinite(off)]
    rmsd = float(np.sqrt(off.mean())) if len(off) else None
    return Recovery(np.stack([i, j], 1), distance, same, len(places_a), len(places_b), rmsd)


def match_points(
    a: Float64[np.ndarray, "n 3"], b: Float64[np.ndarray, "m 3"], limit: float
) -> tuple[Int64[np.ndarray, " k"], Int64[np.ndarray, " k"], Float64[np.ndarray, " k"]]:
    """Return which points of a and b pair up one to one within a limit, and their distances.

    As many pairs as possible, and of all such pairings that of the least sum of distances.
    """
    none = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    if not len(a) or not len(b):
        return none
    near = cKDTree(a).sparse_distance_matrix(cKDTree(b), limit, output_type="coo_matrix")
    if not near.nnz:
        return none
    rows, columns = np.unique(near.row), len(b)
    row = np.searchsorted(rows, near.row)
    spare = np.arange(len(rows))  # one more, costly column per row, so that every row has a partner
    costs = np.concatenate([near.data + 1, np.full(len(rows), UNMATCHED)])  # an edge of cost 0 would not count
    graph = coo_array(
        (costs, (np.concatenate([row, spare]), np.concatenate([near.col, columns + spare]))),
        (len(rows), columns + len(rows)),
    )
    i, j = min_weight_full_bipartite_matching(graph.tocsr())
    paired = j < columns
    i, j = rows[i[paired]].astype(np.int64), j[paired].astype(np.int64)
    return i, j, np.linalg.norm(a[i] - b[j], axis=1)


def common_frame(
    a: Sequence[Residues], b: Sequence[Residues], pairs: Sequence[ChainPair], distance_angstrom: float = 2.0
) -> Superposition:
    """Return the motion that brings model a into the frame of b.

    It begins with the superposition of a pair of chains: of the ten of best alignment score, that which brings most
    C-alphas together. Then it is fitted to all matched C-alphas, three times.

    Raises
    ------
    InputError: no pair of chains has a superposition.
    """
    usable = sorted((pair for pair in pairs if pair.superposition), key=lambda pair: -pair.alignment.score)
    if not usable:
        raise InputError("no pair of chains to superpose the models with; expected one; loosen the rules of pairing")
    matched = []
    for pair in usable[:CANDIDATES]:
        assert pair.superposition is not None
        recovered = recovery(moved(a, pair.superposition), b, distance_angstrom)
        matched.append((len(recovered.places), pair.superposition, recovered))
    _, motion, recovered = max(matched, key=lambda entry: entry[0])
    c_alpha_a, c_alpha_b = _backbone(a)[:, 1], _backbone(b)[:, 1]
    for _ in range(ROUNDS):
        refined = superpose(c_alpha_a[recovered.places[:, 0]], c_alpha_b[recovered.places[:, 1]])
        again = recovery(moved(a, refined), b, distance_angstrom) if refined else recovered
        if refined is None or len(again.places) < len(recovered.places):
            break
        motion, recovered = refined, again
    return motion


def moved(chains: Sequence[Residues], motion: Superposition) -> list[Residues]:
    """Return chains after a motion."""
    return [Residues(c.name, c.sequence, motion.apply(c.backbone)) for c in chains]


def _backbone(chains: Sequence[Residues]) -> Float64[np.ndarray, "n 4 3"]:
    return np.concatenate([np.empty((0, 4, 3)), *(chain.backbone for chain in chains)])


def _with_c_alpha(chains: Sequence[Residues]) -> Int64[np.ndarray, " n"]:
    return np.flatnonzero(np.isfinite(_backbone(chains)[:, 1]).all(1)).astype(np.int64)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
