"""What a map training reads and starts from: its molecules, their mean spectrum, its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from cryoprior.devices import choose_device
from cryoprior.errors import InputError
from cryoprior.output.record import file_digest
from cryoprior.prior.volume.config import MapPriorConfig
from cryoprior.prior.volume.network import MapNetwork, MapNetworkConfig
from cryoprior.prior.volume.whitening import SignalSpectrum, mean_spectrum
from cryoprior.progress import track
from cryoprior.random import numpy_stream
from cryoprior.training.maps.half_maps import HalfMapPatches
from cryoprior.training.maps.loop import MapTraining, MapTrainingChoices
from cryoprior.training.maps.molecules import power_curve
from cryoprior.training.maps.patches import MoleculePatches, PatchSource

SPECTRUM_MODELS = 40
"""Molecules, spread over the training set, whose mean power whitens all maps."""
LARGEST_WEIGHT = 8.0
"""How many times as often as the smallest molecule the largest is drawn, at most."""


@dataclass(frozen=True)
class MapData:
    """Files to train on: atomic models and maps, or half maps in pairs."""

    models: tuple[Path, ...] = ()
    half1: tuple[Path, ...] = ()
    half2: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Return all of them."""
        return (*self.models, *self.half1, *self.half2)


@dataclass(frozen=True)
class MapSetup:
    """A map training before its first step."""

    data: MapData
    training: MapTraining
    config: MapPriorConfig
    validation: tuple[str, ...]
    identity: Mapping[str, Any] = field(repr=False)

    @property
    def parameters(self) -> int:
        """Return the number of weights."""
        return sum(weight.numel() for weight in self.training.network.parameters())


def prepare_maps(
    data: MapData,
    choices: MapTrainingChoices,
    network: MapNetworkConfig,
    voxel_range: tuple[float, float] = (1.5, 6.0),
    *,
    versions: int = 6,
    validation: float = 0.05,
    description: str = "",
    device: str = "cpu",
) -> MapSetup:
    """Return a training of a map prior, on molecules or on half maps.

    Parameters
    ----------
    voxel_range: angstrom; molecules are sampled at random between the two.
    versions: orientations and voxel sizes of each molecule.
    validation: share of the molecules that is held out to measure the loss.

    Raises
    ------
    InputError: no files, a file that cannot be read, a patch that the network cannot halve.
    """
    if not data.files:
        raise InputError("no models and no half maps; pass atomic models or maps, or <half1> and <half2>")
    if choices.patch % network.multiple:
        raise InputError(
            f"<patch> {choices.patch}: expected a multiple of {network.multiple}, which this network needs"
        )
    source, held_out, spectrum, names = _sources(data, choices.seed, voxel_range, versions, validation)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(choices.seed)
        untrained = MapNetwork(network)
    training = MapTraining(untrained, source, held_out, choices, choose_device(device))
    kept_out = set(names)
    digests = {path.name: file_digest(path) for path in data.files if path.name not in kept_out}
    if isinstance(source, HalfMapPatches):
        voxel_range = source.voxel_range
    config = MapPriorConfig(
        network, spectrum, voxel_range, digests, isinstance(source, HalfMapPatches), description=description
    )
    identity = {
        "choices": choices, "network": network, "versions": versions, "validation": validation,
        "voxel_range": voxel_range, "trained_on": digests, "description": description,
    }  # fmt: skip
    return MapSetup(data, training, config, names, identity)


def _sources(
    data: MapData, seed: int, voxel_range: tuple[float, float], versions: int, validation: float
) -> tuple[PatchSource, PatchSource | None, SignalSpectrum, tuple[str, ...]]:
    """Return what trains, what is held out, the mean spectrum, and the names of the files that are held out."""
    if data.half1 or data.half2:
        pairs = HalfMapPatches.read(data.half1, data.half2)
        return pairs, None, pairs.spectrum, ()
    names = [path.name for path in data.models]
    if len(set(names)) < len(names):
        raise InputError("models: two files of one name; expected each once; rename or drop one")
    order = numpy_stream(seed, "train-map/split").permutation(len(names))
    count = min(len(names) - 1, max(1, round(validation * len(names)))) if validation > 0 else 0
    held, used = ([data.models[i] for i in sorted(part)] for part in (order[:count], order[count:]))
    spectrum = molecule_spectrum(used, seed, voxel_range[0])
    source = MoleculePatches(used, _weights(used), spectrum, voxel_range, seed, versions)
    held_source = MoleculePatches(held, _weights(held), spectrum, voxel_range, seed, 2) if held else None
    return source, held_source, spectrum, tuple(path.name for path in held)


def molecule_spectrum(paths: Sequence[Path], seed: int, voxel_size: float) -> SignalSpectrum:
    """Return the mean power by frequency of molecules spread over the training set, up to the finest Nyquist."""
    chosen = [paths[i] for i in sorted({round(x) for x in _spread(len(paths), SPECTRUM_MODELS)})]
    curves = [power_curve(path, voxel_size, seed) for path in track(chosen, "spectrum")]
    return mean_spectrum(curves, 1 / (2 * voxel_size))


def _spread(n: int, count: int) -> list[float]:
    return [place * (n - 1) / max(1, min(n, count) - 1) for place in range(min(n, count))]


def _weights(paths: Sequence[Path]) -> list[float]:
    """Return how often each molecule is drawn: as the root of its size, which its file tells."""
    roots = [path.stat().st_size ** 0.5 for path in paths]
    return [min(root, LARGEST_WEIGHT * min(roots)) for root in roots]
