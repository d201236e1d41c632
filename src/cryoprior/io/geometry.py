"""What a particle table says of pose and microscope, as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64

from cryoprior.errors import InputError
from cryoprior.io.formats.columns import ANGLES, CTF, OPTICS_GROUP, ORIGINS, optics_rows


def table_poses(table: pd.DataFrame) -> tuple[Float64[np.ndarray, "n 3"], Float64[np.ndarray, "n 2"]] | None:
    """Return rot, tilt, psi in degrees, (n, 3), and rlnOriginX, YAngst in angstrom, (n, 2); None without angles."""
    if not set(ANGLES) <= set(table.columns):
        return None
    angles = table[list(ANGLES)].to_numpy(np.float64)
    if not set(ORIGINS) <= set(table.columns):
        return angles, np.zeros((len(table), 2))
    return angles, table[list(ORIGINS)].to_numpy(np.float64)


def table_ctf(path: Path, table: pd.DataFrame, optics: pd.DataFrame) -> dict[str, Float64[np.ndarray, " n"]] | None:
    """Return the CTF parameters by name, each (n,), or None where the table gives no defocus.

    Keys: defocus_u_angstrom, defocus_v_angstrom, defocus_angle_deg, voltage_kv, cs_mm, amplitude_contrast,
    phase_shift_deg (0 where the file does not say).

    Raises
    ------
    InputError: some of the parameters are there and others are missing.
    """
    if "rlnDefocusU" not in table.columns:
        return None
    rows = optics_rows(path, table, optics) if OPTICS_GROUP in table.columns else np.zeros(len(table), int)
    parameters: dict[str, np.ndarray] = {}
    for key, column in CTF.items():
        if column in table.columns:
            parameters[key] = table[column].to_numpy(np.float64)
        elif column in optics.columns:
            parameters[key] = optics[column].to_numpy(np.float64)[rows]
    parameters.setdefault("phase_shift_deg", np.zeros(len(table)))
    missing = [column for key, column in CTF.items() if key not in parameters]
    if missing:
        raise InputError(f"{path}: rlnDefocusU without {', '.join(missing)}; add them, or remove the defocus")
    return parameters
