"""Heterogeneity: whether the conformational states of the originals are also those of the reconstruction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.lazy import lazy_names

if TYPE_CHECKING:
    from cryoprior.heterogeneity.clusters import Clustering
    from cryoprior.heterogeneity.embedding import EMBEDDINGS
    from cryoprior.heterogeneity.engine import agreement
    from cryoprior.heterogeneity.scores import Agreement

__all__ = ["EMBEDDINGS", "Agreement", "Clustering", "agreement"]

__getattr__ = lazy_names(
    __name__,
    {"clusters": ("Clustering",), "embedding": ("EMBEDDINGS",), "engine": ("agreement",), "scores": ("Agreement",)},
)
