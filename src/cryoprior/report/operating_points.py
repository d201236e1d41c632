"""How little may be measured: the largest compression at which a method still reaches a score."""

from __future__ import annotations

import math

import pandas as pd

HIGHER_IS_BETTER = {"psnr": True, "ssim": True, "lpips": False, "correlation": True, "frc": True, "residual": False}
"""The scores of a benchmark of images."""

LINE = ["series", "mask", "variant", "method"]


def operating_points(rows: pd.DataFrame, score: str = "ssim", at_least: float = 0.8) -> pd.DataFrame:
    """Return, of every method on every kind of mask, the fewest measurements that reach a score.

    The paper takes the least measurement with an SSIM of 0.8. A score is the mean over seeds; of two cells of the same
    compression the better one counts. A score of which less is better is reached at ``at_least`` or below.

    Parameters
    ----------
    rows: of a benchmark of images, one line for each (cell, method, seed).
    score: a key of HIGHER_IS_BETTER.

    Returns
    -------
    One row for each (series, mask, variant, method) in the order of ``rows``, with compression, effective_compression
    and the score there; NaN in all three where no cell reaches it.
    """
    columns = ["compression", "effective_compression", score]
    cells = rows[rows["cell"] != ""].groupby([*LINE, "cell"], sort=False)[columns].mean().reset_index()
    higher = HIGHER_IS_BETTER[score]
    points = []
    for names, found in cells.groupby(LINE, sort=False):
        reached = found[found[score] >= at_least] if higher else found[found[score] <= at_least]
        best = reached.sort_values(["compression", score], ascending=[False, not higher])
        values = best[columns].iloc[0].tolist() if len(best) else [math.nan] * 3
        points.append([*names, *values])
    return pd.DataFrame(points, columns=[*LINE, *columns])
