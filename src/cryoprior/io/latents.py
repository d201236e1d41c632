"""Latents that cryoDRGN writes, z.N.pkl, and the true labels of the same particles; nothing in them is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from cryoprior.errors import InputError
from cryoprior.io.npy import read_npy
from cryoprior.io.pickles import read_pickle
from cryoprior.io.tables import read_csv_table

LATENT_SUFFIXES = (".pkl", ".npy")
EXPECTED = "expected one array of latents, particles x dimensions, as cryoDRGN writes z.N.pkl"
INDICES = "expected the rows of the particles, as cryoDRGN's --ind"
MOST_LABELS = 100


def is_latents(path: Path) -> bool:
    """Return whether the name is that of latents, a .pkl or .npy, and not of particles."""
    return path.suffix.lower() in LATENT_SUFFIXES


def read_latents(path: Path) -> Float[np.ndarray, "n z"]:
    """Return the latents of a file, (n, z), float64: the first array of a .pkl, or the array of a .npy.

    cryoDRGN writes the means of the latents and, in the same file after them, their log-variances; those are not read.

    Raises
    ------
    InputError: a missing, damaged or foreign file, a value that is not finite, or latents that are all the same.
    """
    array = _load(path, EXPECTED)
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: holds a {type(array).__name__}; {EXPECTED}; pass z.N.pkl of the last epoch")
    if array.ndim != 2 or 0 in array.shape:
        shape = " x ".join(map(str, array.shape)) or "a single number"
        raise InputError(f"{path}: an array of shape {shape}; {EXPECTED}; pass z.N.pkl of the last epoch")
    if array.dtype.kind not in "fiu":
        raise InputError(f"{path}: values of type {array.dtype}; {EXPECTED}; save them as numbers")
    latents = array.astype(np.float64)
    bad = ~np.isfinite(latents).all(1)
    if bad.any():
        raise InputError(
            f"{path}: the latents of {int(bad.sum())} particles are NaN or infinite, first those of particle "
            f"{int(bad.argmax())}, counted from 0; expected numbers; the training diverged, take an earlier epoch"
        )
    if (latents == latents[0]).all():
        raise InputError(f"{path}: all {len(latents)} particles have the same latents; train for longer")
    return latents


def read_indices(path: Path, n: int) -> Int[np.ndarray, " k"]:
    """Return the rows that a pickle or .npy of indices names, as cryoDRGN's --ind takes it: whole numbers below n.

    Raises
    ------
    InputError: no such list, or rows that are not there.
    """
    array = _load(path, INDICES)
    indices = np.asarray(array) if isinstance(array, np.ndarray | list) else np.zeros((0, 0))
    if indices.ndim != 1 or indices.dtype.kind not in "iu" or len(indices) == 0:
        raise InputError(f"{path}: no list of whole numbers; {INDICES}")
    if indices.min() < 0 or indices.max() >= n:
        raise InputError(
            f"{path}: rows from {indices.min()} to {indices.max()}; expected 0 to {n - 1}, those of the labels; "
            "pass the indices and the labels of one set of particles"
        )
    return indices.astype(np.int64)


def read_labels(path: Path, column: str | None = None, indices: Path | None = None) -> tuple[str, list[str]]:
    """Return the name of the column of true labels in a CSV, and the label of every particle, as text.

    Without a column: ``state`` where there is one, as ``cryoprior simulate`` writes it; else the only one that does
    not just count the particles.

    Raises
    ------
    InputError: no such file or column, no single candidate, an empty label, or labels that name no classes.
    """
    table = read_csv_table(path, "a CSV with a head and a row per particle", as_text=True)
    _refuse_headless(path, table)
    name = _label_column(path, table, column)
    if indices is not None:
        table = table.iloc[read_indices(indices, len(table))]
    labels = [str(label).strip() for label in table[name]]
    if "" in labels:
        row = labels.index("")
        raise InputError(f"{path}: no {name} for particle {row}, counted from 0; give it one, such as 'unknown'")
    classes = len(set(labels))
    if classes < 2 or classes > min(MOST_LABELS, len(labels) - 1):
        raise InputError(
            f"{path}: {classes} different values of {name} for {len(labels)} particles; expected classes, 2 to "
            f"{MOST_LABELS}; name another with <label_column>"
        )
    return name, labels


def _load(path: Path, expected: str) -> Any:
    if path.suffix.lower() == ".npy":
        return read_npy(path, expected.removeprefix("expected "))
    try:
        return read_pickle(path)
    except InputError as error:
        raise InputError(f"{error.message}; {expected}") from None


def _refuse_headless(path: Path, table: pd.DataFrame) -> None:
    """Raise InputError where the first row holds labels and no names: numbers, or what stands in its column again."""
    names = [str(name) for name in table.columns]
    numbers = all(name.strip().lstrip("+-").replace(".", "", 1).isdigit() for name in names)
    if numbers or any((table[name].str.strip() == name.strip()).any() for name in names):
        raise InputError(
            f"{path}: no header row: it begins with {', '.join(names)[:60]!r}; expected the names of the columns, such "
            "as 'state'; add them as the first line"
        )


def _label_column(path: Path, table: pd.DataFrame, column: str | None) -> str:
    columns = [str(name) for name in table.columns]
    if column is not None:
        if column not in columns:
            raise InputError(f"{path}: no column {column!r}; found {', '.join(columns)}; pass <label_column>")
        return column
    if "state" in columns:
        return "state"
    candidates = [name for name in columns if len(columns) == 1 or table[name].nunique() < len(table)]
    if len(candidates) != 1:
        raise InputError(
            f"{path}: columns {', '.join(columns)}, and none or several may hold the labels; pass <label_column>"
        )
    return candidates[0]
