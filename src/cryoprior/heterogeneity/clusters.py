"""Clusters of particles: a Gaussian mixture with full covariances, fitted to an embedding of their latents."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from cryoprior.errors import InputError
from cryoprior.heterogeneity.embedding import EmbeddingSettings, embed

FEWEST = 10
"""Fewest particles per cluster, on average."""
TOLERANCE, ROUNDS = 1e-4, 1000


@dataclass(frozen=True)
class ClusterSettings:
    """The embedding, the number of Gaussians, and from how many starts the best likelihood is taken."""

    embedding: EmbeddingSettings = field(default_factory=EmbeddingSettings)
    clusters: int = 4
    starts: int = 10


@dataclass(frozen=True, repr=False)
class Clustering:
    """The clusters of one set of latents.

    embedding: what the mixture was fitted to. cluster: of every particle, from 0. probability: that of its cluster.
    log_likelihood: mean per particle, embedding scaled to unit variance. converged: whether the best start did.
    seconds: processor time of embedding and mixture together.
    """

    embedding: Float[np.ndarray, "n e"]
    cluster: Int[np.ndarray, " n"]
    probability: Float[np.ndarray, " n"]
    log_likelihood: float
    converged: bool
    seconds: float

    def __repr__(self) -> str:
        sizes = " ".join(map(str, np.bincount(self.cluster).tolist()))
        return f"Clustering({len(self.cluster)} particles, sizes {sizes}, log likelihood {self.log_likelihood:.3f})"


def cluster_latents(latents: Float[np.ndarray, "n z"], settings: ClusterSettings, state: int) -> Clustering:
    """Return the clusters of latents: their embedding, and the mixture fitted to it; equal states, equal clusters.

    Raises
    ------
    InputError: fewer than ten particles per cluster, or what :func:`cryoprior.heterogeneity.embedding.embed` refuses.
    """
    if len(latents) < FEWEST * settings.clusters:
        raise InputError(
            f"latents of {len(latents)} particles; {settings.clusters} clusters need at least "
            f"{FEWEST * settings.clusters}; pass fewer with <clusters>, or more particles"
        )
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    start = time.process_time()
    with threadpool_limits(1):  # sums, hence clusters, are then the same on any number of cores
        embedding = embed(latents, settings.embedding, state)
        cluster, probability, likelihood, converged = fit_mixture(embedding, settings.clusters, settings.starts, state)
    return Clustering(embedding, cluster, probability, likelihood, converged, time.process_time() - start)


def fit_mixture(
    values: Float[np.ndarray, "n e"], clusters: int, starts: int, state: int
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"], float, bool]:
    """Return the likeliest mixture: cluster and probability per particle, log-likelihood, and whether it converged.

    The values are scaled as a whole to unit variance first, so that the unit of the embedding does not matter.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    centred = values - values.mean(0)
    scaled = centred / max(float(np.sqrt(np.square(centred).mean())), np.finfo(np.float64).tiny)
    mixture = GaussianMixture(
        clusters, covariance_type="full", n_init=starts, tol=TOLERANCE, max_iter=ROUNDS, random_state=state
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last value returned says so
        mixture.fit(scaled)
    probability = mixture.predict_proba(scaled)
    best = probability.argmax(1).astype(np.int64)
    return best, probability.max(1), float(mixture.score(scaled)), bool(mixture.converged_)
