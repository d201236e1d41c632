"""Maps of particles, reconstructions or measurements with known poses, and what they are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.lazy import lazy_names

if TYPE_CHECKING:
    from cryoprior.maps.backprojection import MapSet
    from cryoprior.maps.comparing import MapComparison, compare_maps
    from cryoprior.maps.judgement import Judgement, judge_maps
    from cryoprior.maps.making import make_maps

__all__ = ["Judgement", "MapComparison", "MapSet", "compare_maps", "judge_maps", "make_maps"]

__getattr__ = lazy_names(
    __name__,
    {
        "comparing": ("MapComparison", "compare_maps"),
        "making": ("make_maps",),
        "judgement": ("Judgement", "judge_maps"),
        "backprojection": ("MapSet",),
    },
)
