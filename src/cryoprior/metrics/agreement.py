"""Agreement of two clusterings of the same particles: clusters matched one to one, then counted.

Names of clusters mean nothing, so they are matched first: of all one-to-one matchings the one with which most
particles agree (Kuhn 1955, the Hungarian method, on the contingency table).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from cryoprior.errors import InputError
from cryoprior.random import numpy_stream

UNMATCHED = -1


@dataclass(frozen=True, repr=False)
class ClusterAgreement:
    """How far two clusterings agree.

    table: particles by cluster of the first (rows) and of the second, its columns in the order of the rows that they
        are matched with, so that matched pairs are on the diagonal; columns that nothing is matched with follow.
    column_of_row: which cluster of the second is matched with each of the first; -1 where none is left.
    overall: share of all particles that are in matched clusters.
    by_row: share of each first cluster's particles that are in its matched one; 0 without a match, NaN if empty.
    by_column: share of the particles of the cluster matched with each first one that are in it; NaN without a match.
    ari: adjusted Rand index, 0 on average by chance. nmi: mutual information over the mean entropy.
    """

    table: Int[np.ndarray, "rows columns"]
    column_of_row: Int[np.ndarray, " rows"]
    overall: float
    by_row: Float[np.ndarray, " rows"]
    by_column: Float[np.ndarray, " rows"]
    ari: float
    nmi: float

    def __repr__(self) -> str:
        return f"ClusterAgreement({100 * self.overall:.1f} % of the particles, ARI {self.ari:.3f}, NMI {self.nmi:.3f})"

    def rename(self, columns: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Return the clusters of the second by the numbers of the first; unmatched ones get numbers above."""
        rows = len(self.column_of_row)
        name = np.full(self.table.shape[1], UNMATCHED)
        matched = self.column_of_row != UNMATCHED
        name[self.column_of_row[matched]] = np.flatnonzero(matched)
        name[name == UNMATCHED] = rows + np.arange(int((name == UNMATCHED).sum()))
        renamed: np.ndarray = name[columns]
        return renamed


def cluster_agreement(
    first: Int[np.ndarray, " n"], second: Int[np.ndarray, " m"], rows: int, columns: int
) -> ClusterAgreement:
    """Return how far two clusterings of the same particles agree, the clusters matched one to one.

    Parameters
    ----------
    first, second: the cluster of every particle, from 0, below ``rows`` and ``columns``. Where the numbers of clusters
        differ, only as many are matched as both have, and particles of the others count as not agreeing.

    Raises
    ------
    InputError: numbers of particles that differ, or none.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    if len(first) != len(second) or len(first) == 0:
        raise InputError(
            f"clusters of {len(first)} and of {len(second)} particles; expected the same particles, row by row; "
            "match the rows"
        )
    table = contingency(first, second, rows, columns)
    column_of_row = match(table)
    matched = column_of_row != UNMATCHED
    agreeing = np.where(matched, table[np.arange(rows), column_of_row], 0)
    sizes, matched_sizes = table.sum(1), np.where(matched, table.sum(0)[column_of_row], 0)
    rest = np.setdiff1d(np.arange(columns), column_of_row)
    return ClusterAgreement(
        table=table[:, np.concatenate([column_of_row[matched], rest])],
        column_of_row=column_of_row,
        overall=float(agreeing.sum() / len(first)),
        by_row=np.where(sizes > 0, agreeing / np.maximum(sizes, 1), np.nan),
        by_column=np.where(matched_sizes > 0, agreeing / np.maximum(matched_sizes, 1), np.nan),
        ari=float(adjusted_rand_score(first, second)),
        nmi=float(normalized_mutual_info_score(first, second)),
    )


def contingency(
    first: Int[np.ndarray, " n"], second: Int[np.ndarray, " n"], rows: int, columns: int
) -> Int[np.ndarray, "rows columns"]:
    """Return the number of particles in every pair of clusters."""
    return np.bincount(first * columns + second, minlength=rows * columns).reshape(rows, columns)


def match(table: Int[np.ndarray, "rows columns"]) -> Int[np.ndarray, " rows"]:
    """Return the column matched with each row so that most particles agree; -1 for rows that are left over."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table, maximize=True)
    column_of_row = np.full(len(table), UNMATCHED, np.int64)
    column_of_row[rows] = columns
    return column_of_row


@dataclass(frozen=True, repr=False)
class Chance:
    """The agreement of shuffled clusters of the same sizes: means over shuffles, and the highest."""

    overall: float
    highest: float
    by_row: Float[np.ndarray, " rows"]

    def __repr__(self) -> str:
        return f"Chance({100 * self.overall:.1f} % of the particles, at most {100 * self.highest:.1f} %)"


def chance(
    first: Int[np.ndarray, " n"], second: Int[np.ndarray, " n"], rows: int, columns: int, seed: int, shuffles: int = 100
) -> Chance:
    """Return what is left of the agreement when the second clustering is shuffled over the particles.

    The matching is done anew for every shuffle. The adjusted Rand index of shuffled clusters is 0 on average.
    """
    overall, by_row = np.empty(shuffles), np.empty((shuffles, rows))
    sizes = np.maximum(np.bincount(first, minlength=rows), 1)
    for i in range(shuffles):
        shuffled = numpy_stream(seed, "heterogeneity/chance", i).permutation(second)
        table = contingency(first, shuffled, rows, columns)
        column = match(table)
        agreeing = np.where(column != UNMATCHED, table[np.arange(rows), column], 0)
        overall[i], by_row[i] = agreeing.sum() / len(first), agreeing / sizes
    return Chance(float(overall.mean()), float(overall.max()), by_row.mean(0))
