"""Whole images as formats store them: their rows, and their table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from cryoprior.benchmark.images.sheet import Sheet
from cryoprior.metrics import METRICS
from cryoprior.storage import Stored, parse_encoding, stored_images

KIND = "storage"
SHOWN = ("ssim", "psnr", "lpips", "correlation", "frc")
NOTE = "Whole images as they come back from a file, bytes as they lie on disk."


def stored_as(text: str, images: torch.Tensor) -> Stored:
    """Return what an encoding makes of images, and the bytes that its file takes."""
    return stored_images(np.asarray(images.numpy(), np.float32), parse_encoding(text))


def storage_sheet(rows: pd.DataFrame) -> Sheet | None:
    """Return the scores of stored images, formats down; None where no format was asked for."""
    stored = rows[rows["kind"] == KIND]
    if not len(stored):
        return None
    scores = [name for name in SHOWN if name in stored and stored[name].notna().any()]
    lines = [
        [row["method"], f"{row['bytes_per_particle']:,.0f}", *(_text(name, row[name]) for name in scores)]
        for row in stored.to_dict("records")
    ]
    return Sheet(
        "Formats",
        ["stored as", "bytes", *(METRICS[name].title if name in METRICS else name for name in scores)],
        lines,
        NOTE,
        names=2,
    )


def _text(name: str, value: float) -> str:
    digits = METRICS[name].digits if name in METRICS else 3
    return f"{value:.{digits}f}"
