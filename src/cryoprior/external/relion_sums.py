"""What RELION hands to a program for external reconstruction, and where it expects the map.

``relion_refine --external_reconstruct`` writes, for every half set and class, three MRC files and a star file with
their names, and calls a program with the name of the star file as last argument. Facts are those of RELION 3.1: the
arrays are half grids in the order of the FFT, z y x, of ``padding`` times the box; beyond twice the current size they
are 0. Names are as seen from where RELION runs. None of the files says the voxel size: RELION's model files do.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Complex64, Float32, Float64

from cryoprior.errors import InputError
from cryoprior.io import read_star
from cryoprior.io.mrc_volumes import read_map

GENERAL, SPECTRUM = "external_reconstruct_general", "external_reconstruct_tau2"
REAL, IMAGINARY, WEIGHT = "rlnExtReconsDataReal", "rlnExtReconsDataImag", "rlnExtReconsWeight"
RESULT, BOX, CURRENT = "rlnExtReconsResult", "rlnOriginalImageSize", "rlnCurrentImageSize"
PADDING, FUDGE, DIMENSIONS = "rlnPaddingFactor", "rlnTau2FudgeFactor", "rlnReferenceDimensionality"
REMEDY = "is it the file that relion_refine --external_reconstruct wrote?"
LARGEST_BOX, LARGEST_PADDING = 2048, 4.0
ITERATION = re.compile(r"(?P<run>.*)_it(?P<number>\d{3,})(?P<half>_half[12])?_(?:class|body)\d+_external_reconstruct")

Part = Literal["half", "joined", "whole"]


@dataclass(frozen=True, eq=False, repr=False)
class RelionSums:
    """The sums of one half set and class on RELION's padded Fourier grid.

    numerator, weight: half grids, z y x. box, current_size: voxels a side. padding: of the grid.
    tau2: the signal's power by shell 0 .. box // 2, in RELION's units, times its fudge factor; None where it gave none.
    fsc: of the two half sets by shell; None where there are none.
    result: the map that RELION will read. voxel_size: angstrom; 0 where nothing beside the file says it.
    part: one half set; both joined, as in the last iteration of auto-refinement; or all particles of a class.
    files: the arrays', as they were read.
    """

    path: Path
    numerator: Complex64[np.ndarray, "p p half"]
    weight: Float32[np.ndarray, "p p half"]
    box: int
    current_size: int
    padding: float
    tau2: Float64[np.ndarray, " shells"] | None
    fsc: Float64[np.ndarray, " shells"] | None
    result: Path
    voxel_size: float
    part: Part
    files: tuple[Path, ...]

    def __repr__(self) -> str:
        return f"RelionSums({self.path.name!r}, box={self.box}, current_size={self.current_size})"


def read_sums(star: Path) -> RelionSums:
    """Return what a star file of RELION's external reconstruction names.

    Raises
    ------
    InputError: a missing or damaged file, a label that is not there, a grid of another size, values that are not
        finite, no weight at all, or references in two dimensions.
    """
    blocks = read_star(star)
    if GENERAL not in blocks:
        raise InputError(f"{star}: no block data_{GENERAL}; {REMEDY}")
    row = blocks[GENERAL].iloc[0]
    if _number(star, row, DIMENSIONS, 2, 3) != 3:
        raise InputError(f"{star}: references in two dimensions; expected maps; let RELION reconstruct class averages")
    box = _whole(star, row, BOX, 4, LARGEST_BOX)
    current = _whole(star, row, CURRENT, 2, box + 1)
    padding = _number(star, row, PADDING, 1, LARGEST_PADDING)
    files = tuple(_place(star, _text(star, row, name)) for name in (REAL, IMAGINARY, WEIGHT))
    arrays = [_grid(star, path, round(padding * box)) for path in files]
    weight = arrays[2]
    if weight.min() < 0 or not weight.max() > 0:
        raise InputError(f"{star}: weights from {weight.min():g} to {weight.max():g}; expected positive ones; {REMEDY}")
    tau2, fsc = _curves(star, blocks.get(SPECTRUM), box // 2 + 1)
    if tau2 is not None:
        tau2 = tau2 * _number(star, row, FUDGE, 1e-9, 1e9)
    beside = _Beside(star)
    numerator = arrays[0] + np.complex64(1j) * arrays[1]
    result = Path(_text(star, row, RESULT))
    if files[0] != Path(_text(star, row, REAL)):  # found beside the star file, so its names hold there
        result = star.parent / result.name
    said = (beside.voxel_size(), beside.part())
    return RelionSums(star, numerator, weight, box, current, padding, tau2, fsc, result, *said, files)


class _Beside:
    """What the name of the star file and the files of the earlier iterations beside it say."""

    def __init__(self, star: Path) -> None:
        self._folder, self._stem = star.parent, star.stem
        self._name = ITERATION.fullmatch(star.stem)

    def part(self) -> Part:
        """Return whether the sums are one half set's; RELION's last iteration of two half sets names none."""
        if re.search(r"_half[12]_", self._stem):
            return "half"
        return "joined" if self._name and self._models("_half1") else "whole"

    def voxel_size(self) -> float:
        """Return the voxel size in angstrom that the latest model file gives, 0 where there is none."""
        if self._name is None:
            return 0.0
        for model in reversed(self._models(self._name["half"] or "") or self._models("_half1")):
            general = read_star(model).get("model_general", pd.DataFrame())
            if "rlnPixelSize" in general.columns:
                return _number(model, general.iloc[0], "rlnPixelSize", 1e-3, 1e3)
        return 0.0

    def _models(self, half: str) -> list[Path]:
        assert self._name is not None
        found = self._folder.glob(f"{_escaped(self._name['run'])}_it*{half}_model.star")
        return sorted(path for path in found if half or "_half" not in path.stem)


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _grid(star: Path, path: Path, side: int) -> Float32[np.ndarray, "p p half"]:
    values, _ = read_map(path)
    wanted = (side, side, side // 2 + 1)
    if values.shape != wanted:
        found, expected = (" x ".join(map(str, shape)) for shape in (values.shape, wanted))
        raise InputError(f"{path}: {found} values (z, y, x); expected {expected}, as {star.name} says; {REMEDY}")
    if not np.isfinite(values).all():
        raise InputError(f"{path}: values that are not finite; expected numbers; {REMEDY}")
    return values


def _place(star: Path, name: str) -> Path:
    """Return a path that is named as seen from where RELION runs, or beside the star file."""
    given = Path(name)
    return given if given.is_file() or given.is_absolute() else star.parent / given.name


def _curves(
    star: Path, table: pd.DataFrame | None, shells: int
) -> tuple[Float64[np.ndarray, " shells"] | None, Float64[np.ndarray, " shells"] | None]:
    if table is None or not len(table):  # relion_reconstruct knows no spectrum
        return None, None
    if len(table) != shells:
        raise InputError(f"{star}: {len(table)} shells in data_{SPECTRUM}; expected {shells}; {REMEDY}")
    tau2 = _column(star, table, "rlnReferenceTau2")
    if tau2.min() < 0:
        raise InputError(f"{star}: power of {tau2.min():g} in rlnReferenceTau2; expected 0 or more; {REMEDY}")
    fsc = _column(star, table, "rlnGoldStandardFsc") if "rlnGoldStandardFsc" in table.columns else None
    return tau2, fsc if fsc is not None and fsc[1:].any() else None  # without half sets all are 0


def _column(star: Path, table: pd.DataFrame, name: str) -> Float64[np.ndarray, " shells"]:
    if name not in table.columns:
        raise InputError(f"{star}: no column {name} in data_{SPECTRUM}; {REMEDY}")
    values = np.asarray(pd.to_numeric(table[name], errors="coerce"), np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{star}: {name} holds what is no number; expected one for every shell; {REMEDY}")
    return values


def _text(star: Path, row: pd.Series, name: str) -> str:
    value: Any = row.get(name, "")
    if not str(value):
        raise InputError(f"{star}: no _{name} in data_{GENERAL}; {REMEDY}")
    return str(value)


def _number(star: Path, row: pd.Series, name: str, low: float, high: float) -> float:
    text = _text(star, row, name)
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan  # Python alone reads 1_000
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise InputError(f"{star}: _{name} is {text[:40]}; expected a number from {low:g} to {high:g}; {REMEDY}")
    return value


def _whole(star: Path, row: pd.Series, name: str, low: int, high: int) -> int:
    value = _number(star, row, name, low, high)
    if not value.is_integer():
        raise InputError(f"{star}: _{name} is {value:g}; expected a whole number; {REMEDY}")
    return int(value)
