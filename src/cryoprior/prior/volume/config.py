"""``config.json`` of a map prior: what it is beside its weights, checked before anything is built from it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.output.files import write_whole
from cryoprior.output.stored_json import read_json
from cryoprior.prior.config import CONFIG, DIGESTS, MOST_CHANNELS, REMEDY
from cryoprior.prior.volume.network import MapNetworkConfig
from cryoprior.prior.volume.whitening import SignalSpectrum

FORMAT, KIND = 1, "map"
MOST_PATCH = 8


@dataclass(frozen=True, repr=False)
class MapPriorConfig:
    """What a map prior is, beside its weights.

    network: the shape of its network. spectrum: the mean power of its training set by frequency, by which maps are
    whitened. voxel_size_angstrom: the least and the largest it was trained at. trained_on: digests of the models and
    maps it learned from, by file name; of half maps both halves.
    """

    network: MapNetworkConfig
    spectrum: SignalSpectrum
    voxel_size_angstrom: tuple[float, float]
    trained_on: dict[str, str] = field(default_factory=dict)
    from_half_maps: bool = False
    steps: int = 0
    validation_loss: float | None = None
    description: str = ""
    kind: str = KIND
    format: int = FORMAT

    def __repr__(self) -> str:
        low, high = self.voxel_size_angstrom
        return f"MapPriorConfig({low:g} to {high:g} A; {len(self.trained_on)} files; {self.steps} steps)"


def write_map_config(folder: Path, config: MapPriorConfig, digests: Mapping[str, str]) -> None:
    """Write the configuration, and the digests of the files beside it by their names."""
    values = {**dataclasses.asdict(config), DIGESTS: dict(digests)}
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in values.items())
    write_whole(folder / CONFIG, "{\n " + ",\n ".join(lines) + "\n}\n")


def read_map_config(folder: Path) -> tuple[MapPriorConfig, dict[str, str]]:
    """Return the configuration of a map prior's folder, and the sha256 of the files beside it.

    Raises
    ------
    InputError: it is missing, a prior of images, not ours, or cannot be.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise InputError(f"{folder}: no {CONFIG}; expected a map prior that `cryoprior train-map` wrote")
    raw = read_json(path, "the configuration of a map prior", REMEDY)
    if raw.get("kind") != KIND:
        raise InputError(f"{folder}: no prior of maps; expected what `cryoprior train-map` wrote; pass another folder")
    if raw.get("format") != FORMAT:
        raise InputError(
            f"{path}: format {raw.get('format')}; this version reads {FORMAT}; use the version that wrote it"
        )
    try:
        config, digests = _parsed(raw)
        fault = _fault(config)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not the configuration of a map prior ({error}); {REMEDY}") from None
    if fault:
        raise InputError(f"{path}: not the configuration of a map prior: {fault}; {REMEDY}")
    return config, digests


def _parsed(raw: dict[str, Any]) -> tuple[MapPriorConfig, dict[str, str]]:
    digests = {str(name): str(digest) for name, digest in raw.pop(DIGESTS, {}).items()}
    network = raw.pop("network")
    shape = MapNetworkConfig(**{**network, "channels": tuple(network["channels"])})
    curve = raw.pop("spectrum")
    spectrum = SignalSpectrum(float(curve["highest"]), tuple(float(value) for value in curve["log_power"]))
    low, high = (float(size) for size in raw.pop("voxel_size_angstrom"))
    trained_on = {str(name): str(digest) for name, digest in raw.pop("trained_on", {}).items()}
    return MapPriorConfig(shape, spectrum, (low, high), trained_on, **raw), digests


def _fault(config: MapPriorConfig) -> str:
    """Return in words what cannot be of a configuration; empty where nothing is."""
    shape, spectrum = config.network, config.spectrum
    counts = (*shape.channels, shape.condition)
    if len(shape.channels) != 3 or not all(type(c) is int and 1 <= c <= MOST_CHANNELS for c in counts):
        return f"channels {shape.channels}; expected three whole numbers of 1 to {MOST_CHANNELS}"
    if type(shape.patch) is not int or not 1 <= shape.patch <= MOST_PATCH:
        return f"patch {shape.patch}; expected 1 to {MOST_PATCH} voxels"
    finite = all(math.isfinite(value) for value in (*spectrum.log_power, spectrum.highest))
    if len(spectrum.log_power) < 2 or not finite or not spectrum.highest > 0:
        return "spectrum; expected the log power at two frequencies or more"
    if not 0 < config.voxel_size_angstrom[0] <= config.voxel_size_angstrom[1] < math.inf:
        return f"voxel_size_angstrom {config.voxel_size_angstrom}; expected the least and the largest, above 0"
    return ""
