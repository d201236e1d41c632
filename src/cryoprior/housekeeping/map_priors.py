"""What ``validate`` and ``describe`` say of a map prior."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryoprior.errors import InputError
from cryoprior.output.stored_json import read_json

if TYPE_CHECKING:
    from cryoprior.prior import MapPrior


def is_map_prior(path: Path) -> bool:
    """Return whether a folder holds the configuration of a map prior, damaged or not."""
    config = path / "config.json"
    if not config.is_file():
        return False
    try:
        return bool(read_json(config, "the configuration of a prior", "train again").get("kind") == "map")
    except InputError:
        return False


def map_prior_facts(prior: MapPrior) -> dict[str, Any]:
    """Return what a map prior is: its size, the voxel sizes that it knows, and what it learned from."""
    config = prior.config
    return {
        "parameters": sum(int(weight.numel()) for weight in prior.network.parameters()),
        "channels": list(config.network.channels),
        "smallest_box": 2 * config.network.multiple,
        "voxel_size_angstrom": list(config.voxel_size_angstrom),
        "steps": config.steps,
        "validation_loss": config.validation_loss,
        "from_half_maps": config.from_half_maps,
        "trained_on_files": len(config.trained_on),
        "description": config.description,
    }
