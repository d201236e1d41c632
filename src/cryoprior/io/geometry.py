"""What a particle table says of pose and microscope, as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64

from cryoprior.errors import InputError
from cryoprior.io.formats.columns import ANGLES, CTF, DEFOCUS, ORIGINS
from cryoprior.io.optics import Columns, optical_parameters


def table_poses(table: pd.DataFrame) -> tuple[Float64[np.ndarray, "n 3"], Float64[np.ndarray, "n 2"]] | None:
    """Return rot, tilt, psi in degrees, (n, 3), and rlnOriginX, YAngst in angstrom, (n, 2); None without angles."""
    if not set(ANGLES) <= set(table.columns):
        return None
    angles = table[list(ANGLES)].to_numpy(np.float64)
    if not set(ORIGINS) <= set(table.columns):
        return angles, np.zeros((len(table), 2))
    return angles, table[list(ORIGINS)].to_numpy(np.float64)


def table_ctf(path: Path, table: pd.DataFrame, optics: pd.DataFrame) -> dict[str, np.ndarray] | None:
    """Return the parameters of the transfer by name, each with n rows, or None where the table gives no defocus.

    Keys: defocus_u_angstrom, defocus_v_angstrom, defocus_angle_deg, voltage_kv, cs_mm, amplitude_contrast,
    phase_shift_deg (0 where the file does not say), (n,) each; and of those of
    :func:`cryoprior.io.optics.optical_parameters` what changes anything.

    Raises
    ------
    InputError: some of the parameters are there and others are missing, or a value is none.
    """
    columns = Columns.of(path, table, optics)
    if DEFOCUS not in columns:
        return None
    parameters = {key: columns.numbers(name, finite=False) for key, name in CTF.items() if name in columns}
    parameters.setdefault("phase_shift_deg", np.zeros(len(table)))
    missing = [column for key, column in CTF.items() if key not in parameters]
    if missing:
        raise InputError(f"{path}: {DEFOCUS} without {', '.join(missing)}; add them, or remove the defocus")
    return parameters | optical_parameters(columns)
