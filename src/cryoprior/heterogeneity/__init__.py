"""Heterogeneity: whether the conformational states of the originals are also those of the reconstruction."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryoprior.heterogeneity.clusters import Clustering
    from cryoprior.heterogeneity.embedding import EMBEDDINGS
    from cryoprior.heterogeneity.engine import agreement
    from cryoprior.heterogeneity.scores import Agreement

_PLACES = {"Agreement": "scores", "Clustering": "clusters", "EMBEDDINGS": "embedding", "agreement": "engine"}

__all__ = ["EMBEDDINGS", "Agreement", "Clustering", "agreement"]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
