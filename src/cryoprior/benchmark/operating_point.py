"""``cryoprior operating-point``: how little may be measured, read from the rows of a benchmark of images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cryoprior.errors import InputError
from cryoprior.options import argument, check_options, option

LINE = ["series", "mask", "variant", "method"]

TEXTS = ["series", "cell", "mask", "variant", "method"]
NUMBERS = ["compression", "effective_compression"]
NEVER = "never"


EXAMPLE = "cryoprior operating-point bench/rows.csv --score ssim --at-least 0.8"


@dataclass(frozen=True)
class Options:
    rows: Path = argument("rows.csv of a benchmark of images, as `cryoprior bench` writes it.")
    score: str = option("Column to judge by: psnr, ssim, lpips, correlation, frc or residual.", "ssim")
    at_least: float = option("What the score must reach; of lpips and residual, what it must not exceed.", 0.8)
    method: str | None = option("Only this method.", None)

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    from cryoprior.metrics import METRICS

    rows = _read_rows(options.rows)
    scores = [name for name in METRICS if _has_numbers(rows, name)]
    if options.score not in scores:
        raise InputError(f"{options.rows}: no score {options.score!r}; expected one of {', '.join(scores)}")
    if options.method is not None:
        rows = _only(options.method, rows, options.rows)
    points = operating_points(rows, options.score, options.at_least)
    sign = "≥" if METRICS[options.score].higher_is_better else "≤"
    reached: dict[str, dict[str, float | str]] = {}
    for point in points.to_dict("records"):
        masks = " ".join(str(point[name]) for name in ("series", "mask", "variant") if point[name])
        compression = point["compression"]
        reached.setdefault(masks, {})[str(point["method"])] = NEVER if math.isnan(compression) else compression
    return {"largest_compression_with": f"{options.score} {sign} {options.at_least:g}", "points": reached}


def _read_rows(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected rows.csv of a benchmark of images")
    try:
        rows = pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not CSV: {str(error).strip()}; expected rows.csv of a benchmark of images") from None
    missing = [name for name in TEXTS if name not in rows] + [name for name in NUMBERS if not _has_numbers(rows, name)]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; expected rows.csv of a benchmark of images")
    rows = rows.fillna(dict.fromkeys(TEXTS, ""))
    return rows[rows["cell"] != ""]


def _has_numbers(rows: pd.DataFrame, name: str) -> bool:
    return name in rows and rows[name].dtype.kind in "if" and bool(rows[name].notna().any())


def _only(method: str, rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the rows of one method."""
    of_method = rows[rows["method"] == method]
    if not len(of_method):
        names = "; ".join(dict.fromkeys(rows["method"]))
        raise InputError(f"{path}: no method {method!r}; expected one of {names}")
    return of_method


def operating_points(rows: pd.DataFrame, score: str = "ssim", at_least: float = 0.8) -> pd.DataFrame:
    """Return, of every method on every kind of mask, the fewest measurements that reach a score.

    The paper takes the least measurement with an SSIM of 0.8. A score is the mean over seeds; of two cells of the same
    compression the better one counts. A score of which less is better is reached at ``at_least`` or below.

    Parameters
    ----------
    rows: of a benchmark of images, one line for each (cell, method, seed).
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
