"""Maps of particles, reconstructions or measurements with known poses, and what they are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.lazy import lazy_names

if TYPE_CHECKING:
    from cryoprior.maps.compare import MapComparison, compare_maps
    from cryoprior.maps.engine import make_maps
    from cryoprior.maps.judgement import Judgement, judge_maps
    from cryoprior.maps.making import MapSet

__all__ = ["Judgement", "MapComparison", "MapSet", "compare_maps", "judge_maps", "make_maps"]

__getattr__ = lazy_names(
    __name__,
    {
        "compare": ("MapComparison", "compare_maps"),
        "engine": ("make_maps",),
        "judgement": ("Judgement", "judge_maps"),
        "making": ("MapSet",),
    },
)
