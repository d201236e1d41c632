"""RELION's tables of particles: microscope, CTF and all that changes the transfer, where RELION 3.1 looks for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cryoprior.errors import InputError
from cryoprior.io import ParticleStack, read_star
from cryoprior.io.formats.columns import (
    CTF,
    IMAGE_NAME,
    IMAGE_SIZE,
    MICROSCOPE,
    OPTICS_GROUP,
    PIXEL_SIZE,
    TRANSFER,
    TREATMENT,
)
from cryoprior.io.optics import Columns, check_honoured

NO_OPTICS = {"rlnVoltage": 300.0, "rlnSphericalAberration": 2.7, "rlnAmplitudeContrast": 0.1}
"""RELION reads these even where it corrects no CTF."""
BY_PARTICLE = (*CTF.values(), "rlnCtfBfactor", "rlnCtfScalefactor")
"""What RELION 3.1 takes from the particle table; everything else that changes the transfer from data_optics alone."""


def relion_tables(particles: ParticleStack, stack: str, pixel_size: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the particle and the optics table of a stack, image i in row i, without poses.

    An optics group whose particles differ in what RELION takes from data_optics is split.

    Raises
    ------
    InputError: columns that no map honours; see :func:`cryoprior.io.optics.check_honoured`.
    """
    columns = Columns.of(particles.path, particles.table, particles.optics)
    check_honoured(columns)
    groups = particles.table[OPTICS_GROUP].to_numpy()
    shared = {name: columns.values(name) for name in TRANSFER if name in columns and name not in BY_PARTICLE}
    moved = {name: values for name, values in shared.items() if name in particles.table.columns}
    if moved:
        keys = pd.DataFrame({OPTICS_GROUP: groups, **moved})
        groups = keys.groupby([OPTICS_GROUP, *moved], sort=False).ngroup().to_numpy() + 1
    table = pd.DataFrame({IMAGE_NAME: [f"{i + 1:06d}@{stack}" for i in range(particles.n)], OPTICS_GROUP: groups})
    for name in BY_PARTICLE:
        if name in columns and (name not in MICROSCOPE or name in particles.table.columns):
            table[name] = columns.values(name)
    first = np.unique(groups, return_index=True)[1]
    optics = pd.DataFrame({OPTICS_GROUP: groups[first]})
    optics["rlnOpticsGroupName"] = [f"opticsGroup{group}" for group in optics[OPTICS_GROUP]]
    for name in (name for name in MICROSCOPE if name not in table.columns):
        optics[name] = columns.values(name)[first] if name in columns else NO_OPTICS[name]
    for name, values in shared.items():
        optics[name] = values[first]
    optics[PIXEL_SIZE], optics[IMAGE_SIZE], optics["rlnImageDimensionality"] = pixel_size, particles.box, 2
    return table, optics


def phase_flipped(star: Path) -> bool:
    """Return whether the particles of a star file are phase-flipped, which RELION 3.1 is told by an option alone.

    Raises
    ------
    InputError: some are and some are not.
    """
    blocks = read_star(star)
    tables = blocks.get("particles", pd.DataFrame()), blocks.get("optics", pd.DataFrame())
    columns, flag = Columns.of(star, *tables), TREATMENT["phase_flipped"]
    if flag not in columns:
        return False
    flipped = columns.numbers(flag) != 0
    if flipped.any() and not flipped.all():
        raise InputError(
            f"{star}: {flag} 1 for {int(flipped.sum())} of {len(flipped)} particles; RELION is told once for all; "
            "split the file by optics group"
        )
    return bool(flipped.all())
