"""Atomic models: built into a map, and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.lazy import lazy_names

if TYPE_CHECKING:
    from cryoprior.io.atomic_models import AtomicModel, read_atomic_model
    from cryoprior.models.build import BuildInput, build_into
    from cryoprior.models.score import ModelScore, score_models

__all__ = ["AtomicModel", "BuildInput", "ModelScore", "build_into", "read_atomic_model", "score_models"]

__getattr__ = lazy_names(
    __name__,
    {
        "build": ("BuildInput", "build_into"),
        "score": ("AtomicModel", "ModelScore", "read_atomic_model", "score_models"),
    },
)
