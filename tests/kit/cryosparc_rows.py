"""Rows of a .cs file with the optics that a test asks for."""

from __future__ import annotations

import numpy as np


def optics_row(
    voltage_kv: float,
    cs_mm: float,
    tilt: tuple[float, ...] = (0.0, 0.0),
    trefoil: tuple[float, ...] = (0.0, 0.0),
    tetra: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0),
) -> np.ndarray:
    """Return one row with these aberrations in angstrom."""
    kinds = [("ctf/accel_kv", "f4"), ("ctf/cs_mm", "f4"), ("ctf/tilt_A", "f4", 2), ("ctf/trefoil_A", "f4", 2)]
    return np.array([(voltage_kv, cs_mm, tilt, trefoil, tetra)], [*kinds, ("ctf/tetra_A", "f4", 4)])
