"""The files of an external reconstruction: under RELION's name and beside it, or in a folder of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryoprior.external.relion_sums import RelionSums
from cryoprior.io import write_map
from cryoprior.output.files import write_whole
from cryoprior.output.record import to_json
from cryoprior.refinement.reconstructing import Reference
from cryoprior.version import __version__

MAP, FREE, PRIOR = "map.mrc", "prior_free.mrc", "prior.mrc"


def write_beside_relions(
    sums: RelionSums, reference: Reference, voxel_size: float, options: Any, summary: Mapping[str, Any]
) -> None:
    """Write the map where RELION reads it, last, and beside it further maps and how they were made, each whole."""
    start = sums.result.with_suffix("")
    _write_maps(reference, voxel_size, {name: Path(f"{start}_{name}") for name in (FREE, PRIOR)})
    record = {"command": "external-reconstruct", "options": options, "cryoprior": __version__, **summary}
    write_whole(f"{start}_record.json", to_json(record) + "\n")
    _write_maps(reference, voxel_size, {MAP: sums.result})


def write_in_folder(folder: Path, reference: Reference, voxel_size: float) -> None:
    """Write the maps into a folder."""
    _write_maps(reference, voxel_size, {name: folder / name for name in (MAP, FREE, PRIOR)})


def _write_maps(reference: Reference, voxel_size: float, places: Mapping[str, Path]) -> None:
    maps = {MAP: reference.map, FREE: reference.free, PRIOR: reference.prior}
    for name, path in places.items():
        volume = maps[name]
        if volume is not None:
            write_map(path, volume.numpy(), voxel_size or 1.0)  # RELION takes the size from its own files
