"""Map priors on disk: a folder with ``model.safetensors`` and ``config.json``; nothing in it can execute."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import torch

from cryoprior.errors import InputError
from cryoprior.prior.checkpoint import WEIGHTS
from cryoprior.prior.stored_weights import read_weights, whole_digest
from cryoprior.prior.tensor_file import write_tensors
from cryoprior.prior.volume.config import MapPriorConfig, read_map_config, write_map_config
from cryoprior.prior.volume.map_prior import MapPrior
from cryoprior.prior.volume.network import MapNetwork

EMBEDDED_MAPS = {"default": "maps"}
"""Map priors that come with the package, and their folders."""


def save_map_prior(folder: Path, network: MapNetwork, config: MapPriorConfig, *, half: bool = False) -> None:
    """Write the weights, and the configuration, which has their digest; as float16 with ``half``."""
    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    if half:
        state = {k: v.half() for k, v in state.items()}
    write_tensors(folder / WEIGHTS, state)
    write_map_config(folder, config, {WEIGHTS: whole_digest(folder / WEIGHTS)})


def map_prior_folder(name: str | Path) -> Path:
    """Return the folder of an embedded map prior (``default``), or the path itself."""
    if str(name) in EMBEDDED_MAPS:
        return Path(str(files("cryoprior") / "assets" / EMBEDDED_MAPS[str(name)]))
    return Path(name)


def own_folder(name: str) -> list[Path]:
    """Return the folder of a map prior that does not come with the package, in a list; an empty one for those."""
    return [Path(name)] if Path(name).is_dir() and name not in EMBEDDED_MAPS else []


def load_map_prior(name: str | Path = "default", device: str | torch.device = "cpu") -> MapPrior:
    """Return an embedded map prior, or the one in a folder.

    Parameters
    ----------
    name: ``default``, or a folder that ``cryoprior train-map`` wrote.
    device: where its network computes.

    Raises
    ------
    InputError: no such folder, a missing or damaged file, weights that do not fit the configuration.
    """
    folder = map_prior_folder(name)
    if not folder.is_dir():
        known = " or ".join(map(repr, EMBEDDED_MAPS))
        raise InputError(f"{folder}: no such map prior; expected {known}, or a folder that `cryoprior train-map` wrote")
    config, digests = read_map_config(folder)
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"{folder}: no {WEIGHTS}; the training may not have finished; train again with <resume=True>")
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in MapNetwork(config.network).state_dict().items()}
    state = read_weights(folder / WEIGHTS, shapes, digests.get(WEIGHTS))
    with torch.random.fork_rng(devices=[]):
        network = MapNetwork(config.network)
    network.load_state_dict(state)
    return MapPrior(network.to(device), config, folder)
