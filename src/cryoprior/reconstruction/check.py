"""What a prior knows of particles, by shell: what was measured, what it predicts beyond, and what stays unknown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.metrics.rings import shell_coefficients, shell_resolution_angstrom
from cryoprior.reconstruction.withholding import SHARE, Withheld

BANDS = 8
CERTAIN = 2.0
"""Standard errors beyond which a difference is said to be there."""
ROUNDING = 1e-4
"""Share of the signal's power below which a gain is rounding and the tolerance of equations, whatever its error."""


def certain(gain: float, error: float) -> bool:
    """Return whether a gain, of either sign, is there beyond its error and beyond rounding."""
    return bool(abs(gain) > max(CERTAIN * error, ROUNDING)) and math.isfinite(error)


@dataclass(frozen=True, eq=False)
class Check:
    """Sums over particles by shell 0 .. box // 2, and what they say; pixel size in angstrom.

    seen: share of the shell's coefficients that was measured. snr: power of the signal over that of all noise on it.
    mixes: whether a number lies across shells, so that noise of a colour is correlated between numbers.
    """

    withheld: Withheld
    seen: Float[Tensor, " shells"]
    snr: Float[Tensor, " shells"]
    box: int
    pixel_size: float
    mixes: bool = False

    @property
    def n(self) -> int:
        """Return the number of particles."""
        return len(self.withheld.prior)

    @cached_property
    def shells(self) -> pd.DataFrame:
        """Return one row per shell 1 .. box // 2; see :meth:`table`."""
        return self.table([[shell] for shell in range(1, self.box // 2 + 1)])

    @cached_property
    def bands(self) -> pd.DataFrame:
        """Return one row for each of at most eight bands of shells."""
        parts = np.array_split(np.arange(1, self.box // 2 + 1), min(BANDS, self.box // 2))
        return self.table([part.tolist() for part in parts])

    @cached_property
    def whole(self) -> pd.Series:
        """Return all shells as one."""
        return self.table([list(range(1, self.box // 2 + 1))]).iloc[0]

    def table(self, groups: list[list[int]]) -> pd.DataFrame:
        """Return one row per group of shells.

        ``gain``: by how much the prior predicts withheld numbers better than the linear estimate, in shares of the
        power of the signal that the prior expects there; its standard error. ``confirmed``: the share of what the prior
        adds to the linear estimate that the withheld numbers bear out; its standard error. ``measured``: what the
        linear estimate knows of the signal by the spectra; ``predicted``: what the prior adds to that, if it predicts
        every number as it does the withheld ones; ``unknown``: the rest.
        """
        resolution = shell_resolution_angstrom(self.box, self.pixel_size)
        rows = []
        for shells in groups:
            gain, gain_error = self._ratio(self.withheld.prior - self.withheld.linear, self.withheld.signal, shells)
            confirmed, error = self._ratio(self.withheld.confirmed, self.withheld.added, shells)
            measured, known = self._known(min(max(gain, 0.0), 1.0), shells)
            rows.append(
                {
                    "shell": shells[0],
                    "last_shell": shells[-1],
                    "resolution_angstrom": float(resolution[shells[-1]]),
                    "numbers": float(self.withheld.numbers[:, shells].sum()),
                    "measured": measured,
                    "predicted": known - measured,
                    "unknown": 1 - known,
                    "gain": gain,
                    "gain_error": gain_error,
                    "confirmed": confirmed,
                    "confirmed_error": error,
                }
            )
        return pd.DataFrame(rows)

    def summary(self) -> dict[str, Any]:
        """Return what ``summary.json`` holds of it."""
        keys = ("gain", "gain_error", "confirmed", "confirmed_error", "measured", "predicted", "unknown")
        numbers = {key: float(self.whole[key]) for key in keys}
        reach = self.reach_angstrom
        return {"says": self.says, "n": self.n, "withheld": SHARE, **numbers, "predicts_to_angstrom": reach}

    @property
    def reach_angstrom(self) -> float | None:
        """Return the resolution to which every band is predicted better than by the linear estimate, None for none."""
        reach = None
        for _, band in self.bands.iterrows():
            if not (band["gain"] > 0 and certain(band["gain"], band["gain_error"])):
                break
            reach = float(band["resolution_angstrom"])
        return reach

    @property
    def better(self) -> bool | None:
        """Return whether the prior predicts better than the linear estimate; None where the numbers cannot tell."""
        gain, error = float(self.whole["gain"]), float(self.whole["gain_error"])
        return gain > 0 if certain(gain, error) else None

    @property
    def says(self) -> str:
        """Return it in one or two sentences."""
        gain, error = self.whole["gain"], self.whole["gain_error"]
        share = f"{gain:+.1%} ± {error:.1%} of the signal's power"
        if self.better is None:
            return f"withheld numbers cannot tell the prior from the linear estimate ({share}): check more particles"
        if not self.better:
            return f"the prior predicts withheld numbers WORSE than the linear estimate ({share}): do not trust it here"
        reach = "" if self.reach_angstrom is None else f", to {self.reach_angstrom:.0f} Å"
        said = f"the prior predicts withheld numbers better than the linear estimate ({share}{reach})"
        confirmed, error = self.whole["confirmed"], self.whole["confirmed_error"]
        if confirmed + CERTAIN * error < 1:
            said += f"; of what it adds {confirmed:.0%} ± {error:.0%} is confirmed, the rest is invented"
        return said

    def _ratio(self, over: Tensor, under: Tensor, shells: list[int]) -> tuple[float, float]:
        """Return sum(over) / sum(under) over particles, and the standard error of that ratio."""
        a, b = over[:, shells].sum(1), under[:, shells].sum(1)
        total = float(b.sum())
        if not total > 0:
            return float("nan"), float("nan")
        ratio, n = float(a.sum()) / total, len(a)
        spread = float((a - ratio * b).square().sum().sqrt()) / total
        return ratio, spread * (n / (n - 1)) ** 0.5 if n > 1 else float("nan")

    def _known(self, gain: float, shells: list[int]) -> tuple[float, float]:
        """Return the share of the signal that the linear estimate knows, and that with the prior.

        A number of noise N that was measured leaves Q N / (Q + N) of a signal of power Q; a prior that predicts the
        share g of it beforehand makes Q (1 - g) of Q.
        """
        weight = shell_coefficients(self.box)[shells] * self._signal[shells]
        snr, seen = self.snr[shells], self.seen[shells]
        left = 1 - gain
        measured = seen * snr / (1 + snr)
        known = seen * (1 - left / (1 + left * snr)) + (1 - seen) * gain
        total = weight.sum().clamp_min(1e-300)
        return float((measured * weight).sum() / total), float((known * weight).sum() / total)

    @property
    def _signal(self) -> Float[Tensor, " shells"]:
        numbers = self.withheld.numbers.sum(0)
        return torch.where(numbers > 0, self.withheld.signal.sum(0) / numbers.clamp_min(1e-300), 0.0)
