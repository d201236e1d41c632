"""The electrostatic potential of an atomic model, sampled for a box."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import gemmi
import numpy as np
from jaxtyping import Float32

from cryoprior.errors import InputError

FINE_SPACING_ANGSTROM = 1.6


def assembly_model(structure: gemmi.Structure, keep: Sequence[str], leave_out: Sequence[str], name: str) -> gemmi.Model:
    """Return the first model with the chains whose names match ``keep`` and none of ``leave_out``, without waters.

    Patterns are those of a shell (``B*``); an empty ``keep`` keeps all.

    Raises
    ------
    InputError: a pattern that matches no chain, or no atom left.
    """
    structure = structure.clone()
    structure.remove_waters()
    model = structure[0]
    names = [chain.name for chain in model]
    for pattern in (*keep, *leave_out):
        if not any(fnmatchcase(chain, pattern) for chain in names):
            raise InputError(f"{name}: no chain matches {pattern!r}; its chains are {', '.join(sorted(set(names)))}")
    dropped = [c for c in names if not _matches(c, keep or ("*",)) or _matches(c, leave_out)]
    for chain in set(dropped):
        model.remove_chain(chain)
    if model.count_atom_sites() == 0:
        raise InputError(f"{name}: no atom is left after chains were selected; select fewer chains away")
    return model


def _matches(chain: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(chain, pattern) for pattern in patterns)


def mass_centre(model: gemmi.Model) -> np.ndarray:
    """Return the centre of mass in angstrom, xyz."""
    return np.array(model.calculate_center_of_mass().tolist())


def potential_map(
    model: gemmi.Model, box: int, pixel_size: float, centre: np.ndarray, b_factor: float, name: str = "model"
) -> Float32[np.ndarray, "z y x"]:
    """Return the electrostatic potential of the model on a cubic grid, z y x, ``centre`` at voxel box // 2.

    The potential is summed from electron scattering factors on a grid of at most 1.6 angstrom and Fourier-cropped.

    Parameters
    ----------
    model: atoms in angstrom; their B-factors are replaced.
    box: voxels a side.
    pixel_size: angstrom per voxel.
    centre: the point (xyz, angstrom) that is put at the centre of the box.
    b_factor: isotropic B-factor of every atom in square angstrom.

    Raises
    ------
    InputError: the model does not fit into the box.
    Source: gemmi, DensityCalculatorE (Peng 1999 c4322 electron scattering factors).
    """
    edge = box * pixel_size
    moved = model.clone()
    offset = edge / box * (box // 2) - centre
    moved.transform_pos_and_adp(gemmi.Transform(gemmi.Mat33(), gemmi.Vec3(*offset)))
    positions = np.array([cra.atom.pos.tolist() for cra in moved.all()])
    if positions.min() < 0 or positions.max() >= edge:
        radius = float(np.linalg.norm(positions - edge / 2, axis=1).max())
        raise InputError(
            f"{name}: the model reaches {radius:.0f} angstrom from its centre, the box is {edge:.0f} angstrom wide; "
            "pass a larger <box> or <pixel_size>"
        )
    for cra in moved.all():
        cra.atom.b_iso = b_factor
        cra.atom.aniso = gemmi.SMat33f(0, 0, 0, 0, 0, 0)
    factor = max(1, int(np.ceil(pixel_size / FINE_SPACING_ANGSTROM)))
    calculator = gemmi.DensityCalculatorE()
    calculator.d_min = 2 * pixel_size / factor
    calculator.grid.unit_cell = gemmi.UnitCell(edge, edge, edge, 90, 90, 90)
    calculator.grid.spacegroup = gemmi.SpaceGroup("P1")
    calculator.grid.set_size(box * factor, box * factor, box * factor)
    calculator.add_model_density_to_grid(moved)
    fine = np.asarray(calculator.grid.array, dtype=np.float32).transpose(2, 1, 0)
    return fourier_crop_volume(fine, box)


def fourier_crop_volume(volume: Float32[np.ndarray, "D D D"], box: int) -> Float32[np.ndarray, "d d d"]:
    """Return the periodic volume low-passed and sampled at box voxels a side; voxel 0 stays where it was."""
    size = volume.shape[0]
    if size == box:
        return volume
    transform = np.fft.fftshift(np.fft.fftn(volume))
    start = size // 2 - box // 2
    window = slice(start, start + box)
    cropped = np.fft.ifftshift(transform[window, window, window])
    if box % 2 == 0:  # the lone Nyquist planes have no partner: leave them out
        cropped[box // 2, :, :] = cropped[:, box // 2, :] = cropped[:, :, box // 2] = 0
    return np.asarray(np.fft.ifftn(cropped).real * (box / size) ** 3, dtype=np.float32)
