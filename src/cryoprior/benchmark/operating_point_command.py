"""``cryoprior operating-point``: how little may be measured, read from the rows of a benchmark of images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.options import argument, check_options, option

NEVER = "never"
EXAMPLE = "cryoprior operating-point bench/rows.csv --score ssim --at-least 0.8"


@dataclass(frozen=True)
class Options:
    rows: Path = argument("rows.csv of a benchmark of images, as `cryoprior bench` writes it.")
    score: str = option("Column to judge by: psnr, ssim, lpips, correlation, frc or residual.", "ssim")
    at_least: float = option("What the score must reach; for lpips and residual, what it must not exceed.", 0.8)
    method: str | None = option("Only this method.", None)

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    """Return the largest compression with which each method reaches the score, by kind of mask."""
    from cryoprior.benchmark.operating_point import has_numbers, operating_points, read_rows, rows_of_method
    from cryoprior.metrics import METRICS

    rows = read_rows(options.rows)
    scores = [name for name in METRICS if has_numbers(rows, name)]
    if options.score not in scores:
        raise InputError(f"{options.rows}: no score {options.score!r}; expected one of {', '.join(scores)}")
    if options.method is not None:
        rows = rows_of_method(options.method, rows, options.rows)
    points = operating_points(rows, options.score, options.at_least)
    sign = "≥" if METRICS[options.score].higher_is_better else "≤"
    reached: dict[str, dict[str, float | str]] = {}
    for point in points.to_dict("records"):
        masks = " ".join(str(point[name]) for name in ("series", "mask", "variant") if point[name])
        compression = point["compression"]
        reached.setdefault(masks, {})[str(point["method"])] = NEVER if math.isnan(compression) else compression
    return {"largest_compression_with": f"{options.score} {sign} {options.at_least:g}", "points": reached}
