"""How little may be measured for a score, read from the rows of a benchmark of images."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from cryoprior.errors import InputError
from cryoprior.io.tables import read_csv_table

LINE = ["series", "mask", "variant", "method"]

TEXTS = ["series", "cell", "mask", "variant", "method"]
NUMBERS = ["compression", "effective_compression"]


def read_rows(path: Path) -> pd.DataFrame:
    """Return the rows of cells; InputError for a file that is no rows.csv of a benchmark of images."""
    rows = read_csv_table(path, "rows.csv of a benchmark of images")
    missing = [name for name in TEXTS if name not in rows] + [name for name in NUMBERS if not has_numbers(rows, name)]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; expected rows.csv of a benchmark of images")
    rows = rows.fillna(dict.fromkeys(TEXTS, ""))
    return rows[rows["cell"] != ""]


def has_numbers(rows: pd.DataFrame, name: str) -> bool:
    """Return whether a column is there and holds numbers."""
    return name in rows and rows[name].dtype.kind in "if" and bool(rows[name].notna().any())


def rows_of_method(method: str, rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the rows of one method; InputError where there is none of that name."""
    of_method = rows[rows["method"] == method]
    if not len(of_method):
        names = "; ".join(dict.fromkeys(rows["method"]))
        raise InputError(f"{path}: no method {method!r}; expected one of {names}")
    return of_method


def operating_points(rows: pd.DataFrame, score: str = "ssim", at_least: float = 0.8) -> pd.DataFrame:
    """Return the fewest measurements that reach a score, for every method on every kind of mask.

    The paper takes the least measurement with an SSIM of 0.8. A score is the mean over seeds; of two cells of the same
    compression the better one counts. A score that is better when lower is reached at ``at_least`` or below.

    Parameters
    ----------
    rows: the rows of a benchmark of images, one line for each (cell, method, seed).
    score: a key of METRICS.

    Returns
    -------
    One row for each (series, mask, variant, method) in the order of ``rows``, with compression, effective_compression
    and the score there; NaN in all three where no cell reaches it.
    """
    from cryoprior.metrics import METRICS

    columns = ["compression", "effective_compression", score]
    cells = rows[rows["cell"] != ""].groupby([*LINE, "cell"], sort=False)[columns].mean().reset_index()
    higher = METRICS[score].higher_is_better
    points = []
    for names, line in cells.groupby(LINE, sort=False):
        reached = line[line[score] >= at_least] if higher else line[line[score] <= at_least]
        best = reached.sort_values(["compression", score], ascending=[False, not higher])
        values = best[columns].iloc[0].tolist() if len(best) else [math.nan] * 3
        points.append([*names, *values])
    return pd.DataFrame(points, columns=[*LINE, *columns])
