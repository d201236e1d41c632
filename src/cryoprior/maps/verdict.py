"""A map in one sentence: how fine it is, whether views are missing, and whether a prior is in it."""

from __future__ import annotations

from collections.abc import Sequence

from cryoprior.maps.anisotropy import Anisotropy
from cryoprior.maps.denoised import SAID
from cryoprior.maps.job import PRIOR_FREE, MapJob
from cryoprior.maps.judgement import NamedMaps
from cryoprior.maps.missing_views import WARN_SHARE
from cryoprior.maps.same_maps import same_maps
from cryoprior.maps.views import THIN, ViewDistribution
from cryoprior.metrics.fsc import Resolution


def map_verdict(job: MapJob, named: Sequence[NamedMaps], anisotropy: Anisotropy) -> str:
    """Return in a sentence what the first of the maps is and whether to trust it.

    Parameters
    ----------
    named: the map, and what is mapped beside it.
    """
    first = named[0]
    parts = (
        resolution_said(first.judgement.resolution),
        views_said(anisotropy.views),
        SAID if job.denoised else prior_said(job.prior_weight, _same_without(named)),
    )
    return "; ".join(parts)


def prior_inside(job: MapJob, named: Sequence[NamedMaps]) -> bool:
    """Return whether a prior had a hand in the first of the maps, so that its half maps flatter it."""
    return job.denoised or (job.prior_weight is not None and (job.prior_weight > 0 or _same_without(named) is False))


def resolution_said(resolution: Resolution) -> str:
    """Return the resolution of a map in words."""
    if not resolution.known:
        return "the particles do not determine a map: its halves agree at no resolution"
    if resolution.nyquist_limited:
        return f"at most {resolution.angstrom:.1f} A by half maps, limited by Nyquist"
    return f"{resolution.angstrom:.1f} A by half maps"


def views_said(views: ViewDistribution) -> str:
    """Return in words what the views leave out."""
    if views.thin_share <= WARN_SHARE:
        return "views cover the sphere"
    if views.unseen_share > WARN_SHARE:
        return f"views leave {views.unseen_share:.0%} of the directions in Fourier space unseen"
    return f"views are uneven: {views.thin_share:.0%} of the directions have less than {THIN:.0%} of their share"


def prior_said(prior_weight: float | None, same_without: bool | None) -> str:
    """Return in words how much of a prior is in a map.

    Parameters
    ----------
    prior_weight: of the unmeasured part of a reconstruction; None where the images are none.
    same_without: whether the map is that of the measurements alone; None where that was not made.
    """
    if prior_weight is None:
        return "no prior"
    if prior_weight > 0:
        return f"the prior is in this map with weight {prior_weight:g}: its half maps flatter it"
    if same_without is False:
        return "the prior is in this map as far as it changed what was measured: its half maps flatter it"
    return "the prior is not in this map"


def _same_without(named: Sequence[NamedMaps]) -> bool | None:
    """Return whether the first map is that of the measurements alone; None where that is not among them."""
    first, *others = named
    free = next((other.maps for other in others if other.name == PRIOR_FREE), None)
    return None if free is None else same_maps(first.maps, free)
