"""Maps to train on: molecules in any orientation at any voxel size, of atomic models or of maps, whitened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Float16, Float32
from scipy.spatial.transform import Rotation
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.potential import FINE_SPACING_ANGSTROM, assembly_model, potential_map
from cryoprior.image.shells import Shells
from cryoprior.io.model_files import read_structure
from cryoprior.io.mrc_volumes import is_map, read_map_header
from cryoprior.io.resize import resample_volume
from cryoprior.io.volumes import read_shaped_density
from cryoprior.prior.volume.whitening import SignalSpectrum, fitted_shape, local_variance
from cryoprior.random import numpy_stream

if TYPE_CHECKING:
    import gemmi

B_FACTOR = 60.0
MARGIN, SMALLEST, LARGEST, FINEST = 8, 48, 120, 256
"""Voxels of solvent on each side; the least and the most voxels a side; the most on the grid that atoms are put on."""


@dataclass(frozen=True, eq=False, repr=False)
class CleanMap:
    """A whitened map without noise, of unit variance inside the molecule, and its voxel size in angstrom."""

    volume: Float16[np.ndarray, "d d d"]
    voxel_size: float

    def __repr__(self) -> str:
        return f"CleanMap({len(self.volume)} voxels of {self.voxel_size:.2f} A)"


def draw_density(
    path: Path, voxel_range: tuple[float, float], generator: np.random.Generator
) -> tuple[Float32[np.ndarray, "d d d"], float]:
    """Return density of a molecule turned at random, or of a map as it lies, and its voxel size, log-uniform.

    Of a molecule too large for the box a piece around one of its residues is taken.

    Raises
    ------
    InputError: a missing or unreadable file, no atoms, a map coarser than the range.
    """
    low, high = np.log(voxel_range)
    voxel_size = float(np.exp(generator.uniform(low, high)))
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an atomic model (.pdb, .cif, also .gz) or a map (.mrc)")
    if is_map(path):
        return _density_of_map(path, voxel_range, generator)
    model = _read_model(path)
    turn = Rotation.random(random_state=generator).as_matrix()
    _turn(model, turn)
    factor = max(1, int(np.ceil(voxel_size / FINE_SPACING_ANGSTROM)))
    most = min(LARGEST, FINEST // factor // 8 * 8)
    positions = np.array([cra.atom.pos.tolist() for cra in model.all()])
    extent = float((positions.max(0) - positions.min(0)).max())
    box = max(SMALLEST, int(np.ceil(extent / voxel_size / 8) + 2 * MARGIN // 8) * 8)
    centre = (positions.max(0) + positions.min(0)) / 2
    if box > most:
        box = most
        centre = positions[generator.integers(len(positions))]
        _keep_within(model, centre, (box / 2 - 1) * voxel_size)
    return potential_map(model, box, voxel_size, centre, B_FACTOR, path.name), voxel_size


def whitened_clean(
    density: Float32[np.ndarray, "d d d"], voxel_size: float, spectrum: SignalSpectrum
) -> Float[Tensor, "d d d"]:
    """Return a density without noise in the whitened domain, of unit variance inside the molecule."""
    box = len(density)
    shells = Shells(box)
    fourier = torch.fft.rfftn(torch.from_numpy(density).double(), norm="ortho")
    power = shells.mean(fourier.abs().square())
    shape = fitted_shape(power, torch.ones_like(power), spectrum, box, voxel_size)
    white = fourier * shells.spread((-0.5 * shape).exp()) * shells.inside
    volume = torch.fft.irfftn(white, s=(box,) * 3, norm="ortho").float()
    everything = shells.inside.float()
    scaled: Tensor = volume / local_variance(volume, everything, torch.zeros_like(everything), voxel_size) ** 0.5
    return scaled


def clean_map(
    path: Path, version: int, seed: int, voxel_range: tuple[float, float], spectrum: SignalSpectrum
) -> CleanMap:
    """Return the ``version``-th whitened map of a molecule: its own orientation and voxel size, always the same."""
    generator = numpy_stream(seed, f"train-map/{path.name}", version)
    density, voxel_size = draw_density(path, voxel_range, generator)
    return CleanMap(whitened_clean(density, voxel_size, spectrum).half().numpy(), voxel_size)


def power_curve(path: Path, voxel_size: float, seed: int) -> tuple[Float[Tensor, " shells"], Float[Tensor, " shells"]]:
    """Return the power of a molecule, or of a piece of it, by shell, and the shells' frequencies in 1 / angstrom."""
    generator = numpy_stream(seed, f"train-map/spectrum/{path.name}")
    if is_map(path):
        voxel_size = read_map_header(path).voxel_size
    density, voxel_size = draw_density(path, (voxel_size, voxel_size), generator)
    power = Shells(len(density)).mean(torch.fft.rfftn(torch.from_numpy(density).double(), norm="ortho").abs().square())
    return power, torch.arange(len(power), dtype=torch.float64) / (len(density) * voxel_size)


def _read_model(path: Path) -> gemmi.Model:
    return assembly_model(read_structure(path), (), (), path.name)


def _turn(model: gemmi.Model, matrix: Float[np.ndarray, "3 3"]) -> None:
    import gemmi

    model.transform_pos_and_adp(gemmi.Transform(gemmi.Mat33(matrix.tolist()), gemmi.Vec3(0, 0, 0)))


def _keep_within(model: gemmi.Model, centre: np.ndarray, reach: float) -> None:
    """Drop the atoms outside of a cube, and what is left without atoms."""
    low, high = centre - reach, centre + reach
    for chain in model:
        for place in reversed(range(len(chain))):
            residue = chain[place]
            for index in reversed(range(len(residue))):
                position = residue[index].pos.tolist()
                if not all(a <= x <= b for a, x, b in zip(low, position, high, strict=True)):
                    del residue[index]
            if len(residue) == 0:
                del chain[place]


def _density_of_map(
    path: Path, voxel_range: tuple[float, float], generator: np.random.Generator
) -> tuple[Float32[np.ndarray, "d d d"], float]:
    """Return a map at a voxel size that is no finer than its own, or a piece of it."""
    volume, own = read_shaped_density(path)
    low, high = max(own, voxel_range[0]), voxel_range[1]
    if low > high:
        raise InputError(f"{path}: voxels of {own:.3g} A; expected at most {high:.3g}; give a finer map")
    voxel_size = float(np.exp(generator.uniform(np.log(low), np.log(high))))
    needed = int(np.ceil(max(volume.shape) * own / voxel_size / 8)) * 8
    box = min(LARGEST, max(SMALLEST, needed))
    return resample_volume(volume, own, voxel_size, box), voxel_size
