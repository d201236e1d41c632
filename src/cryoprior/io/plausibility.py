"""What particle tables say that can hardly be meant: wrong units, particles that stand twice, origins off the image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64

from cryoprior.errors import InputError
from cryoprior.io.mrc import MrcHeader

LEAST_DEFOCUS_ANGSTROM = 1000.0
"""Below this for every particle, a defocus is in another unit: no data set is taken that near to focus."""
RANGES = {"rlnVoltage": ("kV", 50.0, 1500.0), "rlnSphericalAberration": ("mm", 0.0, 20.0)}
LENGTH = "A"
NEVER = {
    "rlnImagePixelSize": (LENGTH, 1e-3, 1e4),
    "rlnVoltage": ("kV", 1.0, 1e6),
    "rlnSphericalAberration": ("mm", -1.0, 1e4),
    "rlnAmplitudeContrast": ("fraction", 0.0, 1.0),
    "rlnDefocusU": (LENGTH, -1e7, 1e7),
    "rlnDefocusV": (LENGTH, -1e7, 1e7),
    "rlnOriginXAngst": (LENGTH, -1e6, 1e6),
    "rlnOriginYAngst": (LENGTH, -1e6, 1e6),
}
"""Outside these a value is no measurement of any microscope: the file is damaged."""
SPACE_GROUP_BYTE = 88
"""Where an MRC header has it: 0 is a stack of images, 1 a volume."""
FEWEST = 10
"""Particles that it takes to tell radians from degrees."""


def implausible(table: pd.DataFrame, optics: pd.DataFrame) -> list[str]:
    """Return what of a table can hardly be meant, each in words that name the column, its values and what is expected.

    table, optics: as in a ParticleStack; columns may be absent.
    """
    return [
        *_microscope(table, optics),
        *_defocus(table),
        *_angles(table),
        *_twice(table),
    ]


def check_possible(path: Path, table: pd.DataFrame, optics: pd.DataFrame) -> None:
    """Raise InputError where a value is none that any microscope gives; what is merely odd is told by implausible."""
    for column, (unit, low, high) in NEVER.items():
        for frame in (table, optics):
            values = _numbers(frame, column)
            outside = None if values is None else (values < low) | (values > high)
            if outside is not None and values is not None and outside.any():
                row = int(np.argmax(outside))
                where = f"row {row + 1}" if frame is table else f"optics group {row + 1}"
                raise InputError(
                    f"{path}: {where} has {column} {values[row]:g}; expected {low:g} to {high:g} ({unit}); correct it"
                )


def far_origins(
    origins_angstrom: Float64[np.ndarray, "n 2"], pixel_size: Float64[np.ndarray, " n"], box: int
) -> list[str]:
    """Return a finding where origins lie beyond half the box, which leaves the particle out of its own image."""
    beyond = np.abs(origins_angstrom).max(axis=1) > box / 2 * pixel_size
    if not beyond.any():
        return []
    row = int(np.argmax(beyond))
    x, y = origins_angstrom[row]
    text = (
        f"particle {row + 1} has an origin of {x:g}, {y:g} A, as {int(beyond.sum())} in all, in a box of "
        f"{box * pixel_size[row]:g} A; expected at most half of it; in another unit?"
    )
    return [text]


def same_image(stack: np.ndarray, place: np.ndarray) -> list[str]:
    """Return a finding where two rows are one image; stack and place of the image of every row, (n,)."""
    image = stack * (place.max(initial=0) + 1) + place
    again = pd.Series(image).duplicated().to_numpy()
    if not again.any():
        return []
    row = int(np.argmax(again))
    first = int(np.argmax(image == image[row]))
    text = (
        f"particles {first + 1} and {row + 1} are the same image, as {int(again.sum())} more rows than images in all; "
        "expected one row an image; were files joined, or is their symmetry expanded?"
    )
    return [text]


def volumes(headers: Iterable[MrcHeader]) -> list[str]:
    """Return a finding where a stack looks like a volume: as many images as pixels a side, in a space group."""
    cubes = [header for header in headers if header.n == header.height == header.width > 1]
    return [
        f"{header.path} looks like a volume of {header.n} slices (space group 1); expected a stack of images"
        for header in cubes
        if _space_group(header) == 1
    ][:1]


def _space_group(header: MrcHeader) -> int:
    with header.path.open("rb") as file:
        file.seek(SPACE_GROUP_BYTE)
        return int.from_bytes(file.read(4), "big" if header.dtype.byteorder == ">" else "little", signed=True)


def _numbers(frame: pd.DataFrame, column: str) -> np.ndarray | None:
    if column not in frame.columns or frame.empty:
        return None
    return np.asarray(pd.to_numeric(frame[column], errors="coerce"), np.float64)


def _microscope(table: pd.DataFrame, optics: pd.DataFrame) -> Iterator[str]:
    for column, (unit, low, high) in RANGES.items():
        for frame in (table, optics):
            values = _numbers(frame, column)
            outside = None if values is None else (values < low) | (values > high)
            if outside is not None and values is not None and outside.any():
                yield f"{column} {values[outside][0]:g}; expected {low:g} to {high:g} ({unit})"


def _defocus(table: pd.DataFrame) -> Iterator[str]:
    values = [v for v in (_numbers(table, name) for name in ("rlnDefocusU", "rlnDefocusV")) if v is not None]
    largest = max((float(np.abs(v).max()) for v in values), default=0.0)
    if 0 < largest < LEAST_DEFOCUS_ANGSTROM:
        yield (
            f"a defocus of at most {largest:g} A for every particle; expected thousands of angstrom; is it in "
            "micrometres or nanometres?"
        )


def _angles(table: pd.DataFrame) -> Iterator[str]:
    angles = [_numbers(table, name) for name in ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")]
    known = [values for values in angles if values is not None]
    if len(known) < 3 or len(table) < FEWEST:
        return
    turn = 2 * np.pi + 1e-3
    if all(np.abs(values).max() <= turn for values in known) and all(np.ptp(known[i]) > 1 for i in (0, 2)):
        yield "all angles between -2 pi and 2 pi; expected degrees; are they in radians?"


def _twice(table: pd.DataFrame) -> Iterator[str]:
    place = ["rlnMicrographName", "rlnCoordinateX", "rlnCoordinateY"]
    for columns, what in ((["cryosparcUid"], "the same cryosparcUid"), (place, "the same place in one micrograph")):
        if not set(columns) <= set(table.columns):
            continue
        again = table.duplicated(columns).to_numpy()
        if again.any():
            row = int(np.argmax(again))
            first = int(np.argmax((table[columns] == table[columns].iloc[row]).all(axis=1).to_numpy()))
            yield (
                f"particles {first + 1} and {row + 1} have {what}, as {int(again.sum())} rows more than once; expected "
                "one row a particle; were files joined, or is their symmetry expanded?"
            )
