"""Patches to train on: cubes out of whitened maps, turned, with noise; and what the network is to return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.prior.volume.evidence import MapEvidence, asked_share, frequencies, map_evidence, on_grid
from cryoprior.prior.volume.turning import CUBE_TURNS, turned_cube
from cryoprior.prior.volume.whitening import SignalSpectrum
from cryoprior.training.maps.molecules import CleanMap, clean_map
from cryoprior.training.maps.noise import draw_snr

EDGE = 4
"""Voxels at the faces of a patch that are not judged: a patch is cut out of its map, and wraps around."""
COARSE = 8
"""Voxels a side of the cells among which a patch's centre is drawn, by their density."""
SOLVENT = 0.15
"""What share of the mean density a cell of solvent counts as."""
B_ERROR, SCALE_ERROR = 12.0, 0.12
"""Deviations, in square angstrom and of the log scale, with which whitening reads them from a noisy map."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Evidence of patches, and the whitened map that they are of, times h: (b, patch, patch, patch)."""

    evidence: MapEvidence
    target: Float[Tensor, "b patch patch patch"]


@runtime_checkable
class PatchSource(Protocol):
    """What training reads: a batch by its random stream, always the same."""

    def batch(self, count: int, patch: int, generator: np.random.Generator) -> Batch:
        """Return ``count`` patches."""
        ...


@dataclass(eq=False)
class MoleculePatches:
    """Patches of molecules without noise, to which noise is added. Maps are made when they are first wanted, and kept.

    versions: orientations and voxel sizes of each molecule. weights: how often each is drawn.
    """

    paths: Sequence[Path]
    weights: Sequence[float]
    spectrum: SignalSpectrum
    voxel_range: tuple[float, float]
    seed: int
    versions: int
    first: int = 0
    _maps: dict[tuple[int, int], tuple[CleanMap, np.ndarray]] = field(default_factory=dict, repr=False)

    def batch(self, count: int, patch: int, generator: np.random.Generator) -> Batch:
        """Return patches, each of another molecule, with noise by shell."""
        share = np.asarray(self.weights) / np.sum(self.weights)
        clean, snrs, sizes = [], [], []
        for _ in range(count):
            molecule = int(generator.choice(len(self.paths), p=share))
            held, cells = self._map(molecule, self.first + int(generator.integers(self.versions)))
            clean.append(torch.from_numpy(cut_patch(held.volume[None], cells, patch, generator)[0]))
            snrs.append(draw_snr(held.voxel_size, self.spectrum, generator))
            sizes.append(held.voxel_size)
        snr, voxel_size = torch.stack(snrs), torch.tensor(sizes)
        fourier = _transform(torch.stack(clean)) * _misfit(voxel_size, patch, generator)
        white = torch.from_numpy(generator.standard_normal((count,) + (patch,) * 3, dtype=np.float32))
        noise = on_grid(snr.rsqrt(), patch)
        evidence = map_evidence(fourier + _transform(white) * noise, snr, voxel_size, patch)
        return Batch(evidence, _inverse(fourier * on_grid(asked_share(snr), patch), patch))

    def _map(self, molecule: int, version: int) -> tuple[CleanMap, np.ndarray]:
        if (molecule, version) not in self._maps:
            made = clean_map(self.paths[molecule], version, self.seed, self.voxel_range, self.spectrum)
            self._maps[molecule, version] = made, cell_weights(made.volume)
        return self._maps[molecule, version]


def judged(error: Float[Tensor, "b patch patch patch"]) -> Float[Tensor, "b"]:
    """Return the mean square over each patch without its faces."""
    inner = slice(EDGE, -EDGE)
    return error[:, inner, inner, inner].square().mean((1, 2, 3))


def cut_patch(volumes: np.ndarray, cells: np.ndarray, patch: int, generator: np.random.Generator) -> np.ndarray:
    """Return a patch of all volumes, (n, d, d, d), around a cell drawn by its weight, turned; solvent beyond faces."""
    size = volumes.shape[-1]
    side = size // COARSE
    cell = np.unravel_index(int(generator.choice(cells.size, p=cells)), (side,) * 3)
    start = [int(place) * COARSE + int(generator.integers(COARSE)) - patch // 2 for place in cell]
    out = np.zeros((len(volumes), *(patch,) * 3), np.float32)
    here = tuple(slice(max(0, -s), max(0, min(patch, size - s))) for s in start)
    there = tuple(slice(max(0, s), max(0, min(size, s + patch))) for s in start)
    out[(slice(None), *here)] = volumes[(slice(None), *there)]
    turned: np.ndarray = turned_cube(torch.from_numpy(out), int(generator.integers(CUBE_TURNS))).numpy()
    return turned


def cell_weights(volume: np.ndarray) -> np.ndarray:
    """Return how often the centre of a patch is drawn from each cell of a map: where density is, mostly."""
    side = len(volume) // COARSE
    used = volume[: side * COARSE, : side * COARSE, : side * COARSE].astype(np.float32)
    energy = np.square(used).reshape(side, COARSE, side, COARSE, side, COARSE).mean((1, 3, 5)).ravel()
    weight: np.ndarray = np.sqrt(energy).astype(np.float64) + SOLVENT * np.sqrt(energy.mean())
    weight /= weight.sum()
    return weight


def _misfit(voxel_size: Float[Tensor, "b"], patch: int, generator: np.random.Generator) -> Tensor:
    """Return what a whitening that is read from a noisy map does to the clean one, on the rfftn grid."""
    count = len(voxel_size)
    b, scale = (
        torch.from_numpy(generator.standard_normal(count, dtype=np.float32)) * s for s in (B_ERROR, SCALE_ERROR)
    )
    squares = (frequencies(patch) / 2).square() / voxel_size[:, None, None, None].square()
    misfit: Tensor = (scale[:, None, None, None] - 0.25 * b[:, None, None, None] * (squares - squares.mean())).exp()
    return misfit


def _transform(volume: Tensor) -> Tensor:
    fourier: Tensor = torch.fft.rfftn(volume, norm="ortho", dim=(-3, -2, -1))
    return fourier


def _inverse(fourier: Tensor, box: int) -> Tensor:
    volume: Tensor = torch.fft.irfftn(fourier, s=(box,) * 3, norm="ortho", dim=(-3, -2, -1))
    return volume
