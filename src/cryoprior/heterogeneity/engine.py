"""Compares the states in latents of originals and reconstructions: the engine of ``cryoprior heterogeneity``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from cryoprior.errors import InputError
from cryoprior.heterogeneity.clusters import ClusterSettings
from cryoprior.heterogeneity.embedding import (
    EMBEDDINGS,
    ORIGINAL,
    OTHER,
    RECONSTRUCTED,
    EmbeddingSettings,
    check_embedding,
)
from cryoprior.heterogeneity.scores import Agreement, compare
from cryoprior.heterogeneity.seeds import cluster_all

UNSTABLE = 0.9
"""Below this agreement with themselves, under another seed, clusters are not distinct."""

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class Labels:
    """The true states, one per particle, as text; ``column``: what they are called; ``name``: where they are from."""

    values: Sequence[str]
    column: str = "label"
    name: str = "labels"


def agreement(
    original: Any,
    reconstructed: Any,
    labels: Sequence[Any] | np.ndarray | None = None,
    *,
    ceiling: Any = None,
    embedding: str = "umap",
    neighbours: int = 15,
    min_dist: float = 0.1,
    clusters: int = 4,
    starts: int = 10,
    seeds: int = 5,
    seed: int = 0,
    processes: int = 1,
) -> Agreement:
    """Return how far the clusters of two sets of latents agree, particle by particle.

    Parameters
    ----------
    original, reconstructed: latents of the same particles in the same order, arrays or tensors, (n, z); the two
        dimensions may differ.
    labels: the true state of every particle, where it is known.
    ceiling: latents of the originals from another training: how far two trainings agree without any loss.
    embedding: what the clusters are fitted to: ``umap``, ``pca`` or ``none``. neighbours, min_dist: UMAP's.
    clusters: number of Gaussians of the mixture. starts: number of starts of each mixture; the likeliest counts.
    seeds: number of seeds of embedding and mixture; medians over them are reported. seed: all others come from it.
    processes: UMAP embeddings at a time; results do not depend on it.

    Raises
    ------
    InputError: values that are not latents, latents of different particles or too few, or UMAP is not installed.
    """
    if embedding not in EMBEDDINGS:
        raise InputError(f"<embedding> {embedding!r}: expected one of {', '.join(EMBEDDINGS)}")
    given = {ORIGINAL: original, RECONSTRUCTED: reconstructed} | ({} if ceiling is None else {OTHER: ceiling})
    names = {ORIGINAL: "original", RECONSTRUCTED: "reconstructed", OTHER: "ceiling"}
    settings = ClusterSettings(EmbeddingSettings(embedding, neighbours, min_dist), clusters, starts)
    check_embedding(settings.embedding)
    return compare_latents(
        {name: _array(values, names[name]) for name, values in given.items()},
        settings,
        labels=None if labels is None else Labels([str(label) for label in np.asarray(labels).tolist()]),
        names=names,
        seed=seed,
        seeds=seeds,
        processes=processes,
    )


def compare_latents(
    latents: Mapping[str, Float[np.ndarray, "_ _"]],
    settings: ClusterSettings,
    *,
    labels: Labels | None,
    names: Mapping[str, str],
    seed: int,
    seeds: int,
    processes: int | None,
) -> Agreement:
    """Return how far the clusters agree of latents named ``original``, ``reconstructed`` and, for a ceiling, ``other``.

    names: what messages call them. processes: None for as many as are sensible.

    Raises
    ------
    InputError: latents or labels of other particles, or what clustering refuses.
    """
    _check_same_particles(latents, names)
    if labels is not None:
        _check_labels(labels, len(latents[ORIGINAL]), settings.clusters)
    clusterings = cluster_all(latents, settings, seed, seeds, processes)
    of_labels = None if labels is None else (labels.column, labels.values)
    result = compare(clusterings, settings.clusters, seed, of_labels, retrained=OTHER in latents)
    _warn(result)
    return result


def _array(values: Any, name: str) -> Float[np.ndarray, "n z"]:
    """Return latents as an array of numbers; InputError where they are none."""
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, np.float64)
    if array.ndim != 2 or 0 in array.shape or not np.isfinite(array).all():
        shape = " x ".join(map(str, array.shape))
        raise InputError(f"{name}: an array of {shape}; expected finite latents, n x z, a row per particle")
    return array


def _check_same_particles(latents: Mapping[str, np.ndarray], names: Mapping[str, str]) -> None:
    """Raise InputError where the numbers of particles differ; log a warning where the dimensions do."""
    n, z = latents[ORIGINAL].shape
    for name, values in latents.items():
        if len(values) != n:
            raise InputError(
                f"{names[name]}: latents of {len(values)} particles; {names[ORIGINAL]} has {n}; row by row they must "
                "be the same particles; train both on the same ones, with the same --ind"
            )
        if values.shape[1] != z:
            log.warning("%s: %d latent dimensions, %s has %d", names[name], values.shape[1], names[ORIGINAL], z)


def _check_labels(labels: Labels, n: int, clusters: int) -> None:
    """Raise InputError unless there is a label per particle; warn where states and clusters differ in number."""
    states = len(set(labels.values))
    if len(labels.values) != n:
        raise InputError(
            f"{labels.name}: labels of {len(labels.values)} particles; the latents have {n}; pass the labels of the "
            "same particles, or with <indices> the rows that cryoDRGN was trained on"
        )
    if states != clusters:
        log.warning(
            "%s: %d states, and %d clusters; only the smaller number can be matched, the rest counts as wrong; pass "
            "<clusters> %d to compare one to one",
            *(labels.name, states, clusters, states),
        )


def _warn(result: Agreement) -> None:
    if result.unconverged:
        log.warning("%d mixtures did not converge; read the spread over seeds", result.unconverged)
    if result.has_empty:
        log.warning("a cluster of the original has no particles; pass fewer <clusters>")
    ceiling = float(np.median(result.ceiling.overall))
    if ceiling < UNSTABLE and not result.retrained:
        log.warning(
            "the clusters of the originals agree with themselves by %.0f %% only under another seed; they are not "
            "distinct, so read the agreement against that; other <clusters> may be",
            100 * ceiling,
        )
