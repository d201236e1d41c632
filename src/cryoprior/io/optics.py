"""What a particle table says of the transfer of its images beside the CTF, as arrays: RELION's optical columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64

from cryoprior.errors import InputError
from cryoprior.io.formats.columns import (
    DEFOCUS,
    MAGNIFICATION,
    MTF,
    NOT_HONOURED,
    OPTICAL,
    OPTICS_GROUP,
    TRANSFER,
    TREATMENT,
    ZERNIKE,
    optics_rows,
)

MOST_COEFFICIENTS = 100
"""Zernike coefficients of one vector; RELION fits 20 at most."""

LEAST_BFACTOR = -100.0
"""RELION's fits give -30 at least; Warp and M write the dose as a B-factor below 0, which RELION would amplify by."""
COMA = slice(3, 5)
"""Where coma stands among the odd coefficients: k^3 sin(phi) and k^3 cos(phi), as a beam tilt adds them."""


BFACTOR = OPTICAL["bfactor_angstrom2"][0]


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a particle table and of its optics table as one: a column of the particles wins.

    rows: of the optics table, for every particle, (n,).
    """

    path: Path
    table: pd.DataFrame
    optics: pd.DataFrame
    rows: np.ndarray

    @classmethod
    def of(cls, path: Path, table: pd.DataFrame, optics: pd.DataFrame) -> Columns:
        """Return the columns of both tables; InputError where a particle names a group that is not there."""
        grouped = OPTICS_GROUP in table.columns and OPTICS_GROUP in optics.columns
        return cls(path, table, optics, optics_rows(path, table, optics) if grouped else np.zeros(len(table), int))

    def __contains__(self, column: str) -> bool:
        return column in self.table.columns or column in self.optics.columns

    def values(self, column: str) -> np.ndarray:
        """Return a column by particle, (n,), as it is read."""
        if column in self.table.columns:
            return np.asarray(self.table[column].to_numpy())
        return np.asarray(self.optics[column].to_numpy()[self.rows])

    def numbers(self, column: str, *, finite: bool = True) -> Float64[np.ndarray, " n"]:
        """Return a column by particle as numbers, (n,); InputError names the first value that is none."""
        values = self.values(column)
        numbers = np.asarray(pd.to_numeric(pd.Series(values), errors="coerce"), np.float64)
        wrong = ~np.isfinite(numbers) if finite else np.isnan(numbers) & ~pd.isna(pd.Series(values)).to_numpy()
        if wrong.any():
            raise self.error(wrong, column, "a number")
        return numbers

    def error(self, wrong: np.ndarray, column: str, expected: str) -> InputError:
        """Return the error of the first particle where ``wrong`` holds."""
        row = int(np.argmax(wrong))
        found = self.values(column)[row]
        return InputError(f"{self.path}: particle {row + 1} has {column} {found!s}; expected {expected}; correct it")


def optical_parameters(columns: Columns) -> dict[str, np.ndarray]:
    """Return by name what changes the transfer of any particle beside its CTF; nothing for plain particles.

    Keys, each left out where it changes nothing: bfactor_angstrom2, scale, beam_tilt_x_mrad and beam_tilt_y_mrad,
    (n,); odd_zernike and even_zernike, coefficients in RELION's order, (n, c); magnification, RELION's matrix, which
    maps a frequency of the image to one of the particle, (n, 2, 2); premultiplied and phase_flipped, (n,) bool.

    Raises
    ------
    InputError: a value that is no number, a vector or matrix that is none, a treatment other than 0 and 1, images that
        are both premultiplied and phase-flipped.
    """
    found: dict[str, np.ndarray] = {}
    for key, (column, neutral) in OPTICAL.items():
        if column in columns:
            found[key] = columns.numbers(column)
            if (found[key] == neutral).all():
                del found[key]
    if any(name.startswith("beam_tilt") for name in found):
        for name in ("beam_tilt_x_mrad", "beam_tilt_y_mrad"):
            found.setdefault(name, np.zeros(len(columns.rows)))
    found |= {key: vectors for key in ZERNIKE if (vectors := _vectors(columns, ZERNIKE[key])).any()}
    _one_coma(columns, found)
    matrices = _magnification(columns)
    if matrices is not None and (matrices != np.eye(2)).any():
        found["magnification"] = matrices
    found |= {key: flags for key in TREATMENT if (flags := _flags(columns, TREATMENT[key])).any()}
    both = found.get("premultiplied", np.False_) & found.get("phase_flipped", np.False_)
    if both.any():
        raise InputError(
            f"{columns.path}: particle {int(np.argmax(both)) + 1} is both {' and '.join(TREATMENT.values())}; expected "
            "one of them; set to 0 what was not done to the images last"
        )
    return found


def changing_columns(parameters: dict[str, np.ndarray]) -> list[str]:
    """Return RELION's names of what changes the transfer of particles beside their CTF, of their parameters by name."""
    names: dict[str, tuple[str, ...]] = {key: (column,) for key, (column, _) in OPTICAL.items()}
    names |= {key: (column,) for key, column in (ZERNIKE | TREATMENT).items()} | {"magnification": MAGNIFICATION}
    return [column for key, columns in names.items() if key in parameters for column in columns]


def check_honoured(columns: Columns) -> list[str]:
    """Return what a map will not undo of these particles, as sentences.

    Raises
    ------
    InputError: a column whose values would change the map and that is not understood; a transfer without a defocus.
    """
    optical = [] if DEFOCUS in columns else [column for column in TRANSFER if column in columns]
    if optical and optical_parameters(columns):
        raise InputError(
            f"{columns.path}: {', '.join(optical)} without {DEFOCUS}; expected the CTF beside them; add the defocus, "
            "or remove these columns"
        )
    for column, (neutral, meaning) in NOT_HONOURED.items():
        if column in columns:
            wrong = columns.numbers(column) != neutral
            if wrong.any():
                raise columns.error(wrong, column, f"{neutral:g}, since {meaning} cannot be honoured here")
    if BFACTOR in columns:
        wrong = columns.numbers(BFACTOR) < LEAST_BFACTOR
        if wrong.any():
            expected = f"{LEAST_BFACTOR:g} or more, since it would amplify; where it stands for the dose, turn its sign"
            raise columns.error(wrong, BFACTOR, expected)
    if MTF not in columns:
        return []
    files = {str(name) for name in columns.values(MTF)} - {"", "None", "none", "nan"}
    if not files:
        return []
    named = ", ".join(sorted(files)[:3])
    return [f"{MTF} {named} is left in the images: amplitudes are those behind the detector"]


def _one_coma(columns: Columns, found: dict[str, np.ndarray]) -> None:
    """Raise InputError where a particle has a beam tilt and coma among its odd Zernike coefficients.

    RELION 3.1 then takes the tilt, RELION 5 the sum (seen with both); RELION's own files never hold both.
    """
    if "beam_tilt_x_mrad" not in found or "odd_zernike" not in found:
        return
    tilted = (found["beam_tilt_x_mrad"] != 0) | (found["beam_tilt_y_mrad"] != 0)
    wrong = tilted & (found["odd_zernike"][:, COMA] != 0).any(1)
    if wrong.any():
        raise InputError(
            f"{columns.path}: particle {int(np.argmax(wrong)) + 1} has coma twice, as rlnBeamTiltX or Y and as the 4th "
            "or 5th number of rlnOddZernike; RELION 3.1 takes the tilt, RELION 5 the sum; set one of them to 0"
        )


def _vectors(columns: Columns, column: str) -> Float64[np.ndarray, "n c"]:
    """Return the vectors of a column, each distinct text read once, padded with 0 to the longest."""
    if column not in columns:
        return np.zeros((len(columns.rows), 0))
    texts, places = np.unique([str(value) for value in columns.values(column)], return_inverse=True)
    vectors = [_vector(text) for text in texts]
    wrong = np.array([vector is None for vector in vectors])
    if wrong.any():
        raise columns.error(wrong[places], column, f"[a,b,...], at most {MOST_COEFFICIENTS} numbers")
    read = [vector for vector in vectors if vector is not None]
    padded = np.zeros((len(read), max(map(len, read))))
    for row, vector in zip(padded, read, strict=True):
        row[: len(vector)] = vector
    return np.asarray(padded[places.reshape(-1)])


def _vector(text: str) -> list[float] | None:
    """Return the numbers of a vector as RELION writes it, [a,b,...]; None where it is none."""
    inside = re.fullmatch(r"\s*\[?([^\[\]]*)\]?\s*", text)
    words = inside.group(1).replace(",", " ").split() if inside else []
    try:
        vector = [float(word) for word in words]
    except ValueError:
        return None
    known = inside is not None and len(vector) <= MOST_COEFFICIENTS and bool(np.isfinite(vector).all())
    return vector if known else None


def _magnification(columns: Columns) -> Float64[np.ndarray, "n 2 2"] | None:
    there = [column for column in MAGNIFICATION if column in columns]
    if not there:
        return None
    if len(there) < len(MAGNIFICATION):
        missing = ", ".join(sorted(set(MAGNIFICATION) - set(there)))
        raise InputError(f"{columns.path}: {', '.join(there)} without {missing}; add them, or remove the matrix")
    matrices = np.stack([columns.numbers(column) for column in MAGNIFICATION], 1).reshape(-1, 2, 2)
    singular = np.linalg.svd(matrices, compute_uv=False)
    wrong = (singular.min(1) < 0.5) | (singular.max(1) > 2) | (np.linalg.det(matrices) <= 0)
    if wrong.any():
        raise columns.error(wrong, MAGNIFICATION[0], "a matrix that magnifies by 0.5 to 2 and mirrors nothing")
    return matrices


def _flags(columns: Columns, column: str) -> np.ndarray:
    if column not in columns:
        return np.zeros(len(columns.rows), bool)
    values = columns.numbers(column)
    wrong = ~np.isin(values, (0.0, 1.0))
    if wrong.any():
        raise columns.error(wrong, column, "0 or 1")
    return np.asarray(values == 1)
