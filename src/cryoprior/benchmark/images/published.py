"""The paper's figures, to be shown beside those of a benchmark of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cryoprior.benchmark.images.sheet import short
from cryoprior.errors import InputError
from cryoprior.io.tables import read_csv_table

COLUMNS = ("mask", "compression", "lpips", "ssim")
NEAR = 0.05
"""Largest relative difference between a compression of the paper and ours."""


def read_published(path: Path) -> pd.DataFrame:
    """Return mask, compression, lpips and ssim of a CSV; lines with neither score hold figures of another kind.

    Raises
    ------
    InputError: a missing file, no CSV, a missing column.
    """
    table = read_csv_table(path, f"a CSV of published figures with {', '.join(COLUMNS)}")
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; expected {', '.join(COLUMNS)}; add them")
    figures = table[list(COLUMNS)].dropna(subset=["mask", "compression"]).dropna(subset=["lpips", "ssim"], how="all")
    return figures.reset_index(drop=True)


@dataclass(frozen=True)
class Published:
    """The paper's figures: mask, compression, lpips, ssim."""

    figures: pd.DataFrame | None

    def text(self, mask: str, compression: float) -> str:
        """Return ``.14 / .31`` of the nearest compression, empty where the paper has none within 5 %."""
        nearest = self.nearest(mask, compression)
        return "" if nearest is None else f"{short(nearest['lpips'], 2)} / {short(nearest['ssim'], 2)}"

    def nearest(self, mask: str, compression: float) -> dict[str, float] | None:
        """Return lpips and ssim of the nearest compression, None where the paper has none within 5 %."""
        if self.figures is None:
            return None
        of_mask = self.figures[self.figures["mask"] == mask]
        distance = (of_mask["compression"] / compression - 1).abs()
        if not len(of_mask) or distance.min() > NEAR:
            return None
        line = of_mask.loc[distance.idxmin()]
        return {score: float(line[score]) for score in ("lpips", "ssim")}

    def has(self, masks: Sequence[str]) -> bool:
        """Return whether the paper has figures of any of the masks."""
        return self.figures is not None and bool(self.figures["mask"].isin(masks).any())
