"""Poses that RELION or any program finds, and how far they are from the true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.lazy import lazy_names

if TYPE_CHECKING:
    from cryoprior.poses.files import Poses, read_poses
    from cryoprior.poses.scoring import score_poses
    from cryoprior.poses.search import PoseSearch, search_poses

__all__ = ["PoseSearch", "Poses", "read_poses", "score_poses", "search_poses"]

__getattr__ = lazy_names(
    __name__,
    {
        "files": ("Poses", "read_poses"),
        "scoring": ("score_poses",),
        "search": ("PoseSearch", "search_poses"),
    },
)
