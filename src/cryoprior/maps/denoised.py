"""Images without their noise are no data for a map: the rule, and its words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cryoprior.errors import InputError
from cryoprior.io.formats.columns import ESTIMATE
from cryoprior.report.page import Alert

SIGNAL = "signal"
SAID = "a prior has taken the noise out of the images: the half maps share what it put in its place"
WHY = (
    "What a prior took for noise is gone from such images, and what it expects is in them, the same in both halves: "
    "the resolution by half maps is not that of the particles."
)


def is_denoised(table: pd.DataFrame, recorded: Mapping[str, Any]) -> bool:
    """Return whether particles are estimates of the signal, by their own column or by the run that wrote them."""
    marked = ESTIMATE in table.columns and bool((table[ESTIMATE].astype(str) == SIGNAL).any())
    return marked or recorded.get("estimate") == SIGNAL


def check_denoised(path: Path, *, denoised: bool, allowed: bool) -> None:
    """Raise InputError for estimates of the signal, unless the caller knows what their map is."""
    if denoised and not allowed:
        raise InputError(
            f"{path}: estimates of the signal (<estimate=signal>), not images with their noise: their half maps share "
            "what the prior put in, and would flatter the resolution; map the measurements or a reconstruction with "
            "<estimate=mean>, or pass <even_if_denoised> for a map that is looked at and not measured"
        )


def denoised_alert() -> Alert:
    """Return the box that opens the page of such a map."""
    return Alert("This map was made of denoised images", f"{WHY} Look at it, and measure nothing by it.")
