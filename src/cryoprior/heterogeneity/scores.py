"""What the clusterings of several seeds say: agreement, its ceiling, chance, and true labels where they are known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from cryoprior.heterogeneity.clusters import Clustering
from cryoprior.heterogeneity.embedding import ORIGINAL, OTHER, RECONSTRUCTED
from cryoprior.metrics.agreement import Chance, ClusterAgreement, chance, cluster_agreement

RESEEDED = (
    "The same latents of the original particles under the next seed of embedding and mixture: what the clustering "
    "alone leaves uncertain. A second training of cryoDRGN on the original particles will likely differ by more; train "
    "one and pass it as the ceiling to know."
)
RETRAINED = (
    "The original particles trained another time: what agrees between two trainings without any loss in between. With "
    "another seed it differs by the starting weights too; a reconstruction that was trained with the original's seed "
    "shares those, and can lie a little above."
)


@dataclass(frozen=True, repr=False)
class Scores:
    """Agreements of two clusterings under every seed; the first one's clusters have the same names throughout."""

    agreements: Sequence[ClusterAgreement]

    def __repr__(self) -> str:
        return f"Scores({len(self.agreements)} seeds, agreement {100 * float(np.median(self.overall)):.1f} %)"

    @property
    def overall(self) -> Float[np.ndarray, " seeds"]:
        return np.array([a.overall for a in self.agreements])

    @property
    def by_row(self) -> Float[np.ndarray, "seeds rows"]:
        return np.stack([a.by_row for a in self.agreements])

    @property
    def by_column(self) -> Float[np.ndarray, "seeds rows"]:
        return np.stack([a.by_column for a in self.agreements])

    def medians(self, overall: str = "agreement", by_row: str = "agreement_by_cluster") -> dict[str, Any]:
        """Return the medians over seeds, and under ``spread`` minimum, maximum and standard deviation of each."""
        values = {
            overall: self.overall,
            by_row: self.by_row,
            "ari": np.array([a.ari for a in self.agreements]),
            "nmi": np.array([a.nmi for a in self.agreements]),
        }
        return {
            **{name: np.median(by_seed, 0).tolist() for name, by_seed in values.items()},
            "spread": {
                name: {"min": by_seed.min(0).tolist(), "max": by_seed.max(0).tolist(), "std": _std(by_seed)}
                for name, by_seed in values.items()
            },
        }


@dataclass(frozen=True, repr=False)
class Labelled:
    """True labels, and how far each clustering of every seed agrees with them."""

    column: str
    names: list[str]
    label: Int[np.ndarray, " n"]
    scores: Mapping[str, Scores]
    chance: Chance

    def __repr__(self) -> str:
        return f"Labelled({self.column}: {len(self.names)} states of {len(self.label)} particles)"

    @property
    def counts(self) -> Int[np.ndarray, " labels"]:
        """The number of particles per label."""
        return np.bincount(self.label, minlength=len(self.names))

    def summary(self, clusters: int) -> dict[str, Any]:
        """Return how far a clustering into ``clusters`` matches the labels, under the names of summary.json."""
        return {
            "column": self.column,
            "names": self.names,
            "counts": self.counts.tolist(),
            "matched": min(len(self.names), clusters),
            **{name: scores.medians("accuracy", "accuracy_by_label") for name, scores in self.scores.items()},
            "chance": _chance(self.chance, "accuracy", "accuracy_by_label"),
        }


@dataclass(frozen=True, repr=False)
class Agreement:
    """How far the states of two sets of latents agree, under several seeds.

    clusterings: of every seed, by latents. original: the original's clusters of every seed, named as in the shown one.
    shown: the number of the median seed, which pictures and tables of particles show.
    scores: of the reconstruction against the original. ceiling: of the original against itself,
    ``retrained`` or only clustered with another seed. chance: of shuffled clusters.
    """

    clusterings: Mapping[str, Sequence[Clustering]]
    original: Sequence[Int[np.ndarray, " n"]]
    shown: int
    scores: Scores
    ceiling: Scores
    retrained: bool
    chance: Chance
    labelled: Labelled | None

    def __repr__(self) -> str:
        of_seeds, ceiling = self.scores.medians(), self.ceiling.medians()
        by = f"ceiling {100 * ceiling['agreement']:.1f} %, chance {100 * self.chance.overall:.1f} %"
        return (
            f"Agreement({100 * of_seeds['agreement']:.1f} % of {self.n} particles in {self.clusters} clusters, ARI "
            f"{of_seeds['ari']:.3f}, {by})"
        )

    @property
    def n(self) -> int:
        """The number of particles."""
        return len(self.original[0])

    @property
    def overall(self) -> float:
        """The share of all particles that are in matched clusters, the median over seeds."""
        return float(np.median(self.scores.overall))

    @property
    def matched(self) -> Int[np.ndarray, " n"]:
        """The reconstruction's clusters of the shown seed by the names of the original's."""
        reconstructed = self.clusterings[RECONSTRUCTED][self.shown].cluster
        return self.scores.agreements[self.shown].rename(reconstructed)

    @property
    def clusters(self) -> int:
        """The number of clusters."""
        return len(self.chance.by_row)

    @property
    def seconds_by_seed(self) -> list[float]:
        """The processor seconds per seed that the clusterings of both sets of latents took."""
        both = (self.clusterings[name] for name in (ORIGINAL, RECONSTRUCTED))
        return [sum(c.seconds for c in of_seed) for of_seed in zip(*both, strict=True)]

    @property
    def unconverged(self) -> int:
        """How many of the mixtures did not converge."""
        return sum(not c.converged for of_latents in self.clusterings.values() for c in of_latents)

    @property
    def has_empty(self) -> bool:
        """Whether a cluster of the original has no particle under some seed."""
        return any(math.isnan(share) for share in self.scores.by_row.flatten())

    def summary(self) -> dict[str, Any]:
        """Return the numbers, medians over seeds, under the names of summary.json."""
        summary = {"n": self.n, **self.scores.medians()}
        summary["agreement_by_reconstructed_cluster"] = np.median(self.scores.by_column, 0).tolist()
        summary |= {
            "cluster_sizes": np.bincount(self.original[self.shown], minlength=self.clusters).tolist(),
            "ceiling": {
                "kind": "another training" if self.retrained else "another seed of embedding and mixture",
                "meaning": RETRAINED if self.retrained else RESEEDED,
                **self.ceiling.medians(),
            },
            "chance": _chance(self.chance, "agreement", "agreement_by_cluster"),
        }
        return summary if self.labelled is None else summary | {"labels": self.labelled.summary(self.clusters)}


def compare(
    clusterings: Mapping[str, Sequence[Clustering]],
    clusters: int,
    seed: int,
    labels: tuple[str, Sequence[str]] | None,
    *,
    retrained: bool,
) -> Agreement:
    """Return how far the clusterings agree; clusters are named by size in the median seed, largest first."""

    def scores(first: Sequence[np.ndarray], name: str) -> Scores:
        pairs = zip(first, clusterings[name], strict=True)
        return Scores([cluster_agreement(one, other.cluster, clusters, clusters) for one, other in pairs])

    plain = [c.cluster for c in clusterings[ORIGINAL]]
    overall = scores(plain, RECONSTRUCTED).overall
    shown = int(np.argsort(overall, kind="stable")[(len(overall) - 1) // 2])
    reference = by_size(plain[shown], clusters)
    original = [cluster_agreement(reference, values, clusters, clusters).rename(values) for values in plain]
    reconstructed = clusterings[RECONSTRUCTED][shown].cluster
    return Agreement(
        clusterings,
        original,
        shown,
        scores(original, RECONSTRUCTED),
        scores(original, OTHER),
        retrained,
        chance(reference, reconstructed, clusters, clusters, seed),
        None if labels is None else _labelled(*labels, clusterings, shown, clusters, seed),
    )


def _labelled(
    column: str,
    labels: Sequence[str],
    clusterings: Mapping[str, Sequence[Clustering]],
    shown: int,
    clusters: int,
    seed: int,
) -> Labelled:
    """Return the labels as numbers, and how the clusters of both latents agree with them."""
    names = _sorted(set(labels))
    place = {name: i for i, name in enumerate(names)}
    label = np.array([place[name] for name in labels])
    scores = {
        name: Scores([cluster_agreement(label, c.cluster, len(names), clusters) for c in clusterings[name]])
        for name in (ORIGINAL, RECONSTRUCTED)
    }
    by_chance = chance(label, clusterings[RECONSTRUCTED][shown].cluster, len(names), clusters, seed)
    return Labelled(column, names, label, scores, by_chance)


def by_size(cluster: Int[np.ndarray, " n"], clusters: int) -> Int[np.ndarray, " n"]:
    """Return the clusters numbered by their sizes, the largest 0."""
    order = np.argsort(-np.bincount(cluster, minlength=clusters), kind="stable")
    numbers: np.ndarray = np.argsort(order)[cluster]
    return numbers


def _chance(shuffled: Chance, overall: str, by_row: str) -> dict[str, Any]:
    return {overall: shuffled.overall, f"highest_{overall}": shuffled.highest, by_row: shuffled.by_row.tolist()}


def _std(values: np.ndarray) -> Any:
    """Return the sample standard deviation over seeds, None for a single one."""
    return values.std(0, ddof=1).tolist() if len(values) > 1 else None


def _sorted(names: set[str]) -> list[str]:
    """Return names in order; numbers as numbers."""
    try:
        return sorted(sorted(names), key=float)
    except ValueError:
        return sorted(names)
