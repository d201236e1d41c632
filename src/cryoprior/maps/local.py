"""Local resolution of a map as a file, and a ChimeraX script that shows the map in its colours."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.io import write_map
from cryoprior.maps.files import fsc_filtered
from cryoprior.maps.judgement import NamedMaps
from cryoprior.metrics.local_resolution import local_resolution
from cryoprior.report.surfaces import RESOLUTION_COLOURS, surface_levels

log = logging.getLogger("cryoprior")

OUTSIDE = 0.0
"""The value outside the mask; no resolution is 0 angstrom."""
GREY = "#b8bdc2"
SURFACE, LOCAL, SCRIPT = "map_filtered.mrc", "local_resolution.mrc", "map.cxc"


def write_local_resolution(folder: Path, named: NamedMaps) -> dict[str, Any] | None:
    """Return the local resolution within the mask in numbers; local_resolution.mrc and map.cxc go into the folder.

    None, and nothing written, where the half maps do not determine the map: it has no resolution anywhere.
    The script opens this file and map_filtered.mrc by their names alone, so that the folder can be moved.

    Raises
    ------
    InputError: a mask without voxels, a map without a level that shows it.
    """
    maps, inside = named.maps, named.judgement.mask > 0
    if not bool(inside.any()):
        raise InputError("mask: no voxel is above 0; expected a mask that keeps some; is it the right file?")
    if not named.judgement.determined:
        log.warning("local resolution: not made, since the half maps agree no better than noise")
        return None
    filtered = fsc_filtered(maps, named.judgement)
    local = local_resolution(maps.half_1, maps.half_2, maps.voxel_size_angstrom)
    write_map(folder / LOCAL, torch.where(inside, local, OUTSIDE).float().numpy(), maps.voxel_size_angstrom)
    level = show_level(filtered)
    surface = local[inside & ((filtered <= level) if maps.dark else (filtered >= level))]
    shown = surface if len(surface) else local[inside]
    finest, coarsest = (float(v) for v in np.percentile(shown.double().numpy(), (2, 98)))
    (folder / SCRIPT).write_text(surface_script(level, finest, coarsest), encoding="utf-8")
    within = local[inside].double()
    return {
        "median_angstrom": float(within.median()),
        "finest_angstrom": float(within.min()),
        "coarsest_angstrom": float(within.max()),
        "outside": OUTSIDE,
        "level": level,
    }


def show_level(volume: Float[Tensor, "d d d"]) -> float:
    """Return the level that parts particle from solvent by Otsu's method, which has no sign: also of a dark particle.

    The surface of a dark particle lies at a level below the solvent, and encloses what is lower.
    """
    return surface_levels({"map": volume.numpy()}, {})["map"]


def surface_script(level: float, finest: float, coarsest: float) -> str:
    """Return the commands that open map and local resolution and colour one by the other, with a key in angstrom.

    Blue is the finest and red the coarsest, as on the pages of this package; grey has no value.

    Parameters
    ----------
    level: of the surface.
    finest, coarsest: ends of the colours, angstrom.

    Source: the ChimeraX user guide, commands open, volume, color sample (a palette of values and colours), key.
    """
    coarsest = max(coarsest, finest + 0.01)  # a key needs two ends
    values = np.linspace(finest, coarsest, len(RESOLUTION_COLOURS))
    pairs = list(zip((f"{value:.3f}" for value in values), RESOLUTION_COLOURS, strict=True))
    palette = ":".join(f"{value},{colour}" for value, colour in [("0", GREY), (f"{finest / 2:.3f}", GREY), *pairs])
    key = " ".join(f"{colour}:{float(value):.2f}" for value, colour in pairs)
    return "\n".join(
        [
            "# The map, coloured by its local resolution in angstrom: open this file in ChimeraX with no other model.",
            f"open {SURFACE} id 1",
            f"open {LOCAL} id 2",
            "volume #2 hide",
            f"volume #1 show style surface step 1 level {level:.6g}",
            f"color sample #1 map #2 palette {palette}",
            f"key {key} pos 0.05,0.06 size 0.3,0.03 numericLabelSpacing equal",
            '2dlabels text "local resolution, angstrom" size 18 xpos 0.05 ypos 0.11',
            "view #1",
            "",
        ]
    )
