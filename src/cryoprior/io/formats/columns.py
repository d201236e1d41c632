"""The RELION columns that this package reads, and the two tables that every particle format is turned into."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cryoprior.errors import InputError

IMAGE_NAME = "rlnImageName"
OPTICS_GROUP = "rlnOpticsGroup"
PIXEL_SIZE = "rlnImagePixelSize"
IMAGE_SIZE = "rlnImageSize"
ORIGINS = ("rlnOriginXAngst", "rlnOriginYAngst")
ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
MICROSCOPE = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")
DEFOCUS = "rlnDefocusU"
CTF = {
    "defocus_u_angstrom": DEFOCUS,
    "defocus_v_angstrom": "rlnDefocusV",
    "defocus_angle_deg": "rlnDefocusAngle",
    "voltage_kv": "rlnVoltage",
    "cs_mm": "rlnSphericalAberration",
    "amplitude_contrast": "rlnAmplitudeContrast",
    "phase_shift_deg": "rlnPhaseShift",
}
OPTICAL = {
    "bfactor_angstrom2": ("rlnCtfBfactor", 0.0),
    "scale": ("rlnCtfScalefactor", 1.0),
    "beam_tilt_x_mrad": ("rlnBeamTiltX", 0.0),
    "beam_tilt_y_mrad": ("rlnBeamTiltY", 0.0),
}
"""What changes the transfer of a particle beside its CTF, each with the value that changes nothing."""
ZERNIKE = {"odd_zernike": "rlnOddZernike", "even_zernike": "rlnEvenZernike"}
MAGNIFICATION = ("rlnMagMat00", "rlnMagMat01", "rlnMagMat10", "rlnMagMat11")
TREATMENT = {"premultiplied": "rlnCtfDataAreCtfPremultiplied", "phase_flipped": "rlnCtfDataArePhaseFlipped"}
"""What was done to the images with their CTF: 0 or 1."""
TRANSFER = (*(column for column, _ in OPTICAL.values()), *ZERNIKE.values(), *MAGNIFICATION, *TREATMENT.values())
"""Every column that changes the transfer beside those of the CTF, and is honoured."""
NOT_HONOURED = {
    "rlnIsFlip": (0.0, "mirrored images"),
    "rlnMagnificationCorrection": (1.0, "a magnification of its own"),
}
"""Columns that would change a map and are refused: the value that changes nothing, and what another one means."""
MTF = "rlnMtfFileName"
ESTIMATE = "cryopriorEstimate"
"""What reconstructed images are, where it is not what a recorded image is: ``signal``, without the noise."""


@dataclass(frozen=True)
class Companions:
    """The files and values that go with a particle file and are named beside it on the command line."""

    pixel_size: float | None = None
    poses: Path | None = None
    ctf: Path | None = None
    ind: Path | None = None
    datadir: Path | None = None
    passthrough: Path | None = None


@dataclass(frozen=True)
class Metadata:
    """What a particle file says, in RELION's names, units and conventions: a row per particle, a row per optics group.

    ``table`` holds rlnImageName (``000001@stack.mrcs``, counted from 1) and rlnOpticsGroup; ``optics`` holds
    rlnImagePixelSize in angstrom (NaN where the file does not say).
    """

    table: pd.DataFrame
    optics: pd.DataFrame


def group_optics(table: pd.DataFrame, columns: list[str], keep: str | None = None) -> Metadata:
    """Return the table with ``columns`` moved to an optics table that has one row per set of their values.

    Parameters
    ----------
    table: one row per particle; ``columns`` must be in it.
    columns: those that belong to the optics.
    keep: a column whose values split groups too (an exposure group), dropped afterwards.
    """
    by = [*columns, *([keep] if keep else [])]
    numbers = table.groupby(by, sort=False, dropna=False).ngroup().to_numpy() + 1
    first = np.unique(numbers, return_index=True)[1]
    optics = table.iloc[first][columns].reset_index(drop=True)
    optics.insert(0, OPTICS_GROUP, np.arange(1, len(optics) + 1))
    optics.insert(1, "rlnOpticsGroupName", [f"opticsGroup{i + 1}" for i in range(len(optics))])
    optics["rlnImageDimensionality"] = 2
    rest = table.drop(columns=by).copy()
    rest[OPTICS_GROUP] = numbers
    return Metadata(rest.reset_index(drop=True), optics)


def optics_rows(path: Path, table: pd.DataFrame, optics: pd.DataFrame) -> np.ndarray:
    """Return the row of the optics table for every particle, (n,).

    Raises
    ------
    InputError: a particle names a group that the optics table lacks.
    """
    places = pd.Index(optics[OPTICS_GROUP]).get_indexer(table[OPTICS_GROUP])
    if (places < 0).any():
        row = int(np.argmax(places < 0))
        raise InputError(
            f"{path}: particle {row + 1} is in optics group {table[OPTICS_GROUP].iloc[row]}; the optics table has "
            f"{', '.join(map(str, optics[OPTICS_GROUP]))}; add the group to data_optics"
        )
    return np.asarray(places)
