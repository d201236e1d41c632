"""Tables of simulated particles under RELION's names."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cryoprior.io.formats.columns import TRANSFER
from cryoprior.simulation.optics import BY_PARTICLE
from cryoprior.simulation.particles import Draws


def relion_tables(draws: Draws, stack: str, box: int, pixel_size: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the particle and the optics table of a RELION 3.1 star file; one optics group for each set of optics."""
    given = [column for column in TRANSFER if column in draws.ctf.columns]
    shared = [column for column in given if column not in BY_PARTICLE]
    optical = ["voltage_kv", "cs_mm", "amplitude_contrast", *shared]
    groups = draws.ctf[optical].drop_duplicates().reset_index(drop=True)
    number = {tuple(row): i + 1 for i, row in enumerate(groups.itertuples(index=False))}
    optics = pd.DataFrame(
        {
            "rlnOpticsGroup": np.arange(len(groups)) + 1,
            "rlnOpticsGroupName": [f"opticsGroup{i + 1}" for i in range(len(groups))],
            "rlnVoltage": groups["voltage_kv"],
            "rlnSphericalAberration": groups["cs_mm"],
            "rlnAmplitudeContrast": groups["amplitude_contrast"],
            "rlnImagePixelSize": pixel_size,
            "rlnImageSize": box,
            "rlnImageDimensionality": 2,
            **{column: groups[column] for column in shared},
        }
    )
    n = len(draws.state)
    table = pd.DataFrame(
        {
            "rlnImageName": [f"{i + 1:06d}@{stack}" for i in range(n)],
            "rlnOpticsGroup": [number[tuple(row)] for row in draws.ctf[optical].itertuples(index=False)],
            "rlnAngleRot": draws.euler_deg[:, 0],
            "rlnAngleTilt": draws.euler_deg[:, 1],
            "rlnAnglePsi": draws.euler_deg[:, 2],
            "rlnOriginXAngst": draws.origin_angstrom[:, 0],
            "rlnOriginYAngst": draws.origin_angstrom[:, 1],
            "rlnDefocusU": draws.ctf["defocus_u_angstrom"],
            "rlnDefocusV": draws.ctf["defocus_v_angstrom"],
            "rlnDefocusAngle": draws.ctf["defocus_angle_deg"],
            "rlnPhaseShift": draws.ctf["phase_shift_deg"],
            **{column: draws.ctf[column] for column in given if column in BY_PARTICLE},
            "rlnClassNumber": draws.state + 1,
            "rlnRandomSubset": np.arange(n) % 2 + 1,
        }
    )
    return table, optics
