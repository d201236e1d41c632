"""Evaluation: two-dimensional scores of a reconstruction beside their floors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.lazy import lazy_names

if TYPE_CHECKING:
    from cryoprior.evaluation.evaluating import Evaluation, evaluate
    from cryoprior.evaluation.pooled import PairSums, pooled_gain, pooled_scores

__all__ = ["Evaluation", "PairSums", "evaluate", "pooled_gain", "pooled_scores"]

__getattr__ = lazy_names(
    __name__, {"evaluating": ("Evaluation", "evaluate"), "pooled": ("PairSums", "pooled_gain", "pooled_scores")}
)
