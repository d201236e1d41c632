"""The CTF rows that particles are simulated with: seven numbers each, and what else RELION knows of the transfer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryoprior.errors import InputError
from cryoprior.io.formats.columns import CTF, MAGNIFICATION, OPTICAL, TRANSFER, TREATMENT, ZERNIKE
from cryoprior.io.optics import Columns, optical_parameters
from cryoprior.io.plausibility import check_possible
from cryoprior.io.tables import read_csv_table
from cryoprior.random import numpy_stream

CTF_COLUMNS = tuple(CTF)
BY_PARTICLE = ("rlnCtfBfactor", "rlnCtfScalefactor")
"""What stands in the particle table; the rest belongs to the optics."""


def default_ctf_table() -> pd.DataFrame:
    """Return 2,000 rows with 0.8 to 2.8 micrometre of underfocus at 300 kV."""
    draw = numpy_stream(0, "ctf-table")
    mean, spread = draw.uniform(8e3, 2.8e4, 2000), draw.uniform(0, 600, 2000)
    columns = (mean + spread / 2, mean - spread / 2, draw.uniform(0, 180, 2000), 300.0, 2.7, 0.1, 0.0)
    return pd.DataFrame(dict(zip(CTF_COLUMNS, columns, strict=True)))


def read_ctf_table(path: Path | None) -> pd.DataFrame:
    """Return the CTF rows of a CSV file to draw from, the default ones without a path.

    Raises
    ------
    InputError: a missing file or column, a value that is no number.
    """
    if path is None:
        return default_ctf_table()
    return ctf_table(read_csv_table(path, f"a CSV with {', '.join(CTF_COLUMNS)}"), str(path))


def ctf_table(values: Mapping[str, Any] | pd.DataFrame, name: str = "ctf") -> pd.DataFrame:
    """Return CTF parameters by name as a table: seven columns of numbers, and those of RELION's optics that are given.

    Parameters
    ----------
    values: the seven of the CTF, and what else applies, under the names of
        :func:`cryoprior.io.optics.optical_parameters` or under RELION's (``rlnCtfBfactor``, ``rlnOddZernike``, ...).

    Raises
    ------
    InputError: one is missing, unknown or no value, or they have different lengths.
    """
    columns = {column: values[column] for column in CTF_COLUMNS if column in values}
    optical = _optical_columns(values, name)
    missing = [column for column in CTF_COLUMNS if column not in columns]
    rows = max((np.size(column) for column in columns.values()), default=0)
    if missing or not rows:
        raise InputError(f"{name}: {rows} rows, without {', '.join(missing) or 'rows'}; add them")
    lengths = {key: np.size(column) for key, column in (columns | optical).items() if np.size(column) != 1}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{key} {length}" for key, length in lengths.items())
        raise InputError(f"{name}: columns of different lengths ({shown}); expected one value per row")
    table = finite_numbers(name, pd.DataFrame({key: np.broadcast_to(column, rows) for key, column in columns.items()}))
    check_possible(Path(name), table.rename(columns=CTF), pd.DataFrame())
    for key, column in optical.items():
        table[key] = np.broadcast_to(np.asarray(column), rows)
    transfer_parameters(table, Path(name))
    return table


def finite_numbers(name: Path | str, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table as numbers; InputError names the first cell that is none."""
    numbers = table.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    bad = np.argwhere(~np.isfinite(numbers.to_numpy()))
    if len(bad):
        row, column = bad[0]
        raise InputError(
            f"{name}: row {row + 1} has {table.columns[column]} {table.iat[row, column]}; expected a number; "
            "correct it or leave the row out"
        )
    return numbers


def transfer_parameters(table: pd.DataFrame, path: Path = Path("ctf")) -> dict[str, np.ndarray]:
    """Return the parameters of the transfer of the rows of a table, as :func:`cryoprior.io.geometry.table_ctf` does."""
    seven = {name: table[name].to_numpy() for name in CTF_COLUMNS}
    return seven | optical_parameters(Columns.of(path, table, pd.DataFrame()))


def _optical_columns(values: Mapping[str, Any] | pd.DataFrame, name: str) -> dict[str, Any]:
    """Return RELION's columns of what is given beside the CTF, whichever names it has."""
    columns: dict[str, Any] = {}
    for key in (key for key in values if key not in CTF_COLUMNS):
        given = values[key]
        if key in TRANSFER:
            columns[key] = given
        elif key in OPTICAL:
            columns[OPTICAL[key][0]] = given
        elif key in TREATMENT:
            columns[TREATMENT[key]] = np.asarray(given).astype(int)
        elif key in ZERNIKE:
            columns[ZERNIKE[key]] = [row if isinstance(row, str) else vector_text(row) for row in given]
        elif key == "magnification":
            columns |= dict(zip(MAGNIFICATION, np.asarray(given).reshape(-1, 4).T, strict=True))
        else:
            known = ", ".join((*CTF_COLUMNS, *OPTICAL, *ZERNIKE, *TREATMENT, *TRANSFER))
            raise InputError(f"{name}: column {key} is none that changes an image; expected of {known}; remove it")
    return columns


def vector_text(values: Any) -> str:
    """Return a vector as RELION writes it into a star file."""
    return "[" + ",".join(repr(float(value)) for value in values) + "]"
