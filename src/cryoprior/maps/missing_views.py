"""Missing views in a sentence: from where particles were seen, what was not measured, and what to do."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.maps.views import THIN, ViewDistribution

WARN_SHARE = 0.05
"""A thinly measured share of Fourier directions above this is worth a warning.

Simulated, 200 draws each of 60 to 300 views, 20 of 1,000 and of 3,000: of even views none has more than 0.01. A density
of exp(2 cos^2), seven times higher at a pole than at the equator, and views from the side alone have up to 0.01 from
100 views on (60: up to 0.06, 1 draw in 100 above 0.05). Views within 70 degrees of an axis have about 0.05 (100: 0.03),
within 60 degrees 0.12 (100: 0.07 to 0.11), within 35 degrees 0.39 (100: 0.29 to 0.34).
"""
FEW_VIEWS = 50
"""With fewer views, mates among them, chance alone makes gaps."""
AXIS_GAP = 0.05
"""By so much the largest moment of the thin directions exceeds the next where they lie about one axis."""
NEAR_AXIS_DEG = 12.0
"""An axis so near to x, y or z is taken for it: it is found from few directions."""
WIDE_DEG, CROWDED_DEG = 85.0, 65.0
"""All views within the first angle of an axis, or three quarters within the second (of even ones: 76), are told."""
MOST = 0.75
REMEDY = "Collect tilted images, or change the grid or the buffer, and add these particles."


def view_warning(views: ViewDistribution, symmetry: str, resolution_angstrom: float) -> str | None:
    """Return what is wrong with the views of a map, None where nothing is.

    Parameters
    ----------
    views: counted at ``resolution_angstrom``, with the mates of ``symmetry``.
    """
    if views.thin_share <= WARN_SHARE:
        return None
    particles = f"{views.n} particle{'s' * (views.n != 1)}"
    unseen = f"{views.unseen_share:.0%} of the directions in Fourier space"
    if len(views.views) < FEW_VIEWS:
        return (
            f"Views are few: {unseen} were not measured at {resolution_angstrom:.1f} A by {particles}; add particles."
        )
    axis = thin_axis(views)
    along = "in these directions" if axis is None else f"along {axis_name(axis, symmetry)}"
    seen_from = "" if axis is None else _crowding(views, axis)
    if views.unseen_share > WARN_SHARE:
        return (
            f"Views are missing: {seen_from}{unseen} were not measured at {resolution_angstrom:.1f} A. The map is "
            f"smeared {along}, which the FSC of whole shells does not show. {REMEDY}"
        )
    return (
        f"Views are uneven: {seen_from}{views.thin_share:.0%} of the directions in Fourier space were measured by less "
        f"than {THIN:.0%} of the views that an even distribution would give them. The map is worse {along}, which the "
        f"FSC of whole shells does not show. {REMEDY}"
    )


def thin_axis(views: ViewDistribution) -> Float[Tensor, "3"] | None:
    """Return the axis about which thinly measured directions lie, a unit vector xyz, z not below 0; None without one.

    It is the largest of their second moments.
    """
    thin = views.directions[views.thin]
    if not len(thin):
        return None
    moments, axes = torch.linalg.eigh(thin.T @ thin / len(thin))
    if float(moments[2] - moments[1]) <= AXIS_GAP:
        return None
    axis: Tensor = axes[:, 2] * (1.0 if axes[2, 2] >= 0 else -1.0)
    if float(axis.abs().max()) > math.cos(math.radians(NEAR_AXIS_DEG)):
        axis = torch.eye(3, dtype=axis.dtype)[int(axis.abs().argmax())]
    return axis


def axis_name(axis: Float[Tensor, "3"], symmetry: str = "C1") -> str:
    """Return an axis in words: z, the symmetry axis; x; y; or the rot and tilt of a view along it."""
    x, y, z = axis.tolist()
    if 1.0 in (x, y, z):
        return "xyz"[[x, y, z].index(1.0)] + (", the symmetry axis" if z == 1 and _rotational(symmetry) else "")
    rot, tilt = math.degrees(math.atan2(y, x)), math.degrees(math.acos(min(1.0, z)))
    return f"the view of rot {rot:.0f} and tilt {tilt:.0f} degrees"


def _rotational(symmetry: str) -> bool:
    return symmetry[0].upper() in "CD" and symmetry[1:] != "1"


def _crowding(views: ViewDistribution, axis: Float[Tensor, "3"]) -> str:
    """Return how near to the axis particles are seen, as a begin of a sentence; empty where it says little."""
    angles = (views.views @ axis).abs().clamp_max(1).acos().rad2deg()
    widest, most = float(angles.max()), float(angles.quantile(MOST))
    name = axis_name(axis)
    if widest < WIDE_DEG:
        return f"no particle is seen from more than {math.ceil(widest)} degrees off {name}, and "
    if most < CROWDED_DEG:
        return f"{MOST:.0%} of the particles are seen within {math.ceil(most)} degrees of {name}, and "
    return ""
