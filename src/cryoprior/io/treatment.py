"""What was done to images with their CTF before they were stored: nothing, premultiplied, or phase-flipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cryoprior.io.formats.columns import TREATMENT
from cryoprior.io.optics import Columns, optical_parameters

PLAIN, MIXED = "plain", "mixed"


def image_treatments(path: Path, table: pd.DataFrame, optics: pd.DataFrame) -> np.ndarray:
    """Return the treatment of every particle, (n,): ``plain``, ``premultiplied`` or ``phase_flipped``.

    Raises
    ------
    InputError: optical columns that are no values.
    """
    found = np.full(len(table), PLAIN, dtype=object)
    if any(column in frame.columns for column in TREATMENT.values() for frame in (table, optics)):
        parameters = optical_parameters(Columns.of(path, table, optics))
        for name in TREATMENT:
            if name in parameters:
                found[parameters[name]] = name
    return found


def one_treatment(treatments: np.ndarray) -> str:
    """Return the treatment of all particles, ``mixed`` where they differ."""
    kinds = set(treatments.tolist())
    return kinds.pop() if len(kinds) == 1 else MIXED if kinds else PLAIN
