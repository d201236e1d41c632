"""The section of the page of ``map`` on views: what was seen from where, and how the map differs by direction."""

from __future__ import annotations

import math
from pathlib import Path

from cryoprior.maps.anisotropy import Anisotropy
from cryoprior.maps.view_figures import direction_fsc_picture, views_picture
from cryoprior.maps.views import THIN
from cryoprior.report.page import KeyValues, Picture, Section

SPHERE = (
    "Left to right rot, top to bottom tilt, areas true. Above: from where particles were seen, mates included; a view "
    "and its opposite give the same slice and count alike. Below: an image measures the Fourier directions "
    "perpendicular to its view; a map is smeared along those that few or no images measured."
)
CONES = (
    "FSC of the half maps within cones, masked and corrected as the curve of whole shells. Few coefficients lie in a "
    "cone of the first shells, so there, and beyond the resolution, the band is wide by chance alone."
)


def views_section(anisotropy: Anisotropy, angstrom: float) -> Section:
    """Return the section; ``angstrom`` is the resolution of the map, infinite where it has none."""
    views = anisotropy.views
    counted_at = min(angstrom, anisotropy.box * anisotropy.voxel_size_angstrom)
    scf = "not known: fewer than 100 views" if views.scf is None else f"{views.scf:.2f}"
    facts = [
        ("Sampling compensation factor (SCF*)", f"{scf} (1 with even views, 0.81 with all from the side)"),
        ("Fourier directions that no particle measured", f"{views.unseen_share:.1%} at {counted_at:.2f} Å"),
        (f"Fourier directions with less than {THIN:g} of an even share", f"{views.thin_share:.1%}"),
        (
            "Resolution of the worst and the best tenth of directions",
            f"{_angstrom(anisotropy.worst_angstrom)} and {_angstrom(anisotropy.best_angstrom)} at 0.143",
        ),
    ]
    sphere = "two maps of the sphere: density of views, and how often Fourier directions were measured"
    return Section(
        "Views",
        [
            KeyValues(facts),
            Picture(views_picture(anisotropy), sphere, SPHERE, width=520),
            Picture(direction_fsc_picture(anisotropy), "FSC over directions: mean, and the range of cones", CONES, 720),
        ],
    )


def write_direction_curves(folder: Path, anisotropy: Anisotropy) -> None:
    """Write fsc_by_direction.csv."""
    anisotropy.table().to_csv(folder / "fsc_by_direction.csv", index=False, float_format="%.6g")


def _angstrom(value: float) -> str:
    return f"{value:.2f} Å" if math.isfinite(value) else "none"
