"""Maps of particles, reconstructions or measurements with known poses, and what they are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.lazy import lazy_names

if TYPE_CHECKING:
    from cryoprior.maps.comparing import MapComparison, compare_maps
    from cryoprior.maps.judgement import Judgement, judge_maps
    from cryoprior.maps.making import make_maps
    from cryoprior.maps.map_set import MapSet
    from cryoprior.maps.missing_views import view_warning
    from cryoprior.maps.views import ViewDistribution, view_distribution

__all__ = [
    "Judgement",
    "MapComparison",
    "MapSet",
    "ViewDistribution",
    "compare_maps",
    "judge_maps",
    "make_maps",
    "view_distribution",
    "view_warning",
]

__getattr__ = lazy_names(
    __name__,
    {
        "comparing": ("MapComparison", "compare_maps"),
        "making": ("make_maps",),
        "judgement": ("Judgement", "judge_maps"),
        "map_set": ("MapSet",),
        "missing_views": ("view_warning",),
        "views": ("ViewDistribution", "view_distribution"),
    },
)
