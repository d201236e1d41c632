"""``cryoprior operating-point``: how little may be measured, read from the rows of a benchmark of images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryoprior.errors import InputError
from cryoprior.stages.options import argument, check_options, option

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ["series", "cell", "mask", "variant", "method"]
NUMBERS = ["compression", "effective_compression"]
NEVER = "never"


@dataclass(frozen=True)
class Options:
    rows: Path = argument("rows.csv of a benchmark of images (cryoprior bench).")
    score: str = option("Column to judge by: psnr, ssim, lpips, correlation, frc or residual.", "ssim")
    at_least: float = option("What the score must reach; of lpips and residual, what it must not exceed.", 0.8)
    method: str | None = option("Only this method.", None)

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    from cryoprior.report.operating_points import HIGHER_IS_BETTER, operating_points

    rows = _read_rows(options.rows)
    scores = [name for name in HIGHER_IS_BETTER if _has_numbers(rows, name)]
    if options.score not in scores:
        raise InputError(f"{options.rows}: no score {options.score!r}; expected one of {', '.join(scores)}")
    if options.method is not None:
        rows = _only(options.method, rows, options.rows)
    points = operating_points(rows, options.score, options.at_least)
    sign = "≥" if HIGHER_IS_BETTER[options.score] else "≤"
    reached: dict[str, dict[str, float | str]] = {}
    for point in points.to_dict("records"):
        masks = " ".join(str(point[name]) for name in ("series", "mask", "variant") if point[name])
        compression = point["compression"]
        reached.setdefault(masks, {})[str(point["method"])] = NEVER if math.isnan(compression) else compression
    return {"largest_compression_with": f"{options.score} {sign} {options.at_least:g}", "points": reached}


def _read_rows(path: Path) -> pd.DataFrame:
    import pandas as pd

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
    found = rows[rows["method"] == method]
    if not len(found):
        names = "; ".join(dict.fromkeys(rows["method"]))
        raise InputError(f"{path}: no method {method!r}; expected one of {names}")
    return found
