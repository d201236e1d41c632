"""The page of ``reconstruct`` and ``denoise``: signals beside smoothed views, and what the prior knows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryoprior.reconstruction.check import CERTAIN, Check, certain
from cryoprior.reconstruction.pictures import SignalPictures
from cryoprior.report.figures import shell_curves
from cryoprior.report.page import Alert, Block, KeyValues, Lead, Picture, Prose, Section, Table

SIGNAL = (
    "These images are estimates of the signal, E[s given y]: the particle without its noise, as the prior has it. Look "
    "at particles by them. Make no map of them to measure resolution by: what the prior expects is in both half sets."
)
NOT_CHECKED = (
    "Whether the prior knows these particles has not been checked. Run the command again with the option check: it "
    "withholds a fifth of the numbers of some particles, and asks the prior for them."
)
METHOD = (
    "A fifth of the numbers of each particle was withheld at random and predicted from the rest, by the prior and by "
    "the linear estimate, which knows its mean image and spectrum alone. Noise is independent of the prediction, so "
    "that differences are unbiased, without truth and without poses. Gain: by how much the prior's square error is "
    "below the linear estimate's, as a share of the power of the signal that the prior expects there (which may be too "
    "small: then shares beyond 1 appear). Confirmed: the share of what the prior adds that the numbers bear out; 1 is "
    "right, less is partly invented, more is too timid. Measured: what the linear estimate knows of the signal, by the "
    "spectra. Predicted: what the prior adds to it, if it predicts every number as well as the withheld ones."
)


MIXED = (
    "Here every number is a sum of pixels. Noise that is not white is then correlated between numbers, and what the "
    "prior and the linear estimate predict of it differs a little: on simulated particles with coloured noise the "
    "share that is confirmed was off by up to .9 in the lowest band. Fourier coefficients and whole images are free "
    "of this."
)


@dataclass(frozen=True)
class ReconstructionPage:
    """All that the page shows; facts are names and values of what was done."""

    facts: Sequence[tuple[str, str]]
    pictures: SignalPictures | None
    check: Check | None
    signal: bool

    def sections(self) -> list[Section]:
        """Return the sections of the page."""
        lead: list[Block] = [] if self.check is None else [Lead(f"{self.check.says[0].upper()}{self.check.says[1:]}.")]
        doubts = [Alert("Signals are no data for a map", SIGNAL, "note")] if self.signal else []
        unchecked = [Alert("Not checked", NOT_CHECKED, "note")] if self.signal and self.check is None else []
        pictures = [] if self.pictures is None else self.pictures.blocks()
        head = Section("", [*lead, *doubts, *unchecked, KeyValues(self.facts), *pictures])
        return [head] if self.check is None else [head, check_section(self.check)]


def check_section(check: Check) -> Section:
    """Return what the withheld numbers say, by band and by shell."""
    alert: list[Block] = []
    if check.better is False:
        text = f"{check.says[0].upper()}{check.says[1:]}. Its images of these particles are misleading."
        alert = [Alert("This prior does not fit these particles", text)]
    elif check.better is None:
        alert = [Alert("The check does not tell", f"{check.says[0].upper()}{check.says[1:]}.", "note")]
    mixed: list[Block] = [Prose(MIXED)] if check.mixes else []
    names = ["Å, down to", "gain", "confirmed", "measured", "predicted", "unknown", "reading"]
    rows = [_row(band) for band in check.bands.to_dict("records")]
    table = Table(names, rows, f"{METHOD} {check.n} particles; ± is one standard error.")
    return Section("What the prior knows, without truth", [*alert, table, *mixed, _curves(check), Prose(_reach(check))])


def _row(band: Mapping[Any, Any]) -> list[str]:
    return [
        f"{band['resolution_angstrom']:.3g}",
        f"{band['gain']:+.3f} ± {band['gain_error']:.3f}",
        f"{band['confirmed']:.2f} ± {band['confirmed_error']:.2f}",
        *(f"{band[name]:.0%}" for name in ("measured", "predicted", "unknown")),
        reading(band),
    ]


def reading(band: Mapping[Any, Any]) -> str:
    """Return in words what a band says of the prior."""
    gain, error = band["gain"], band["gain_error"]
    if not certain(gain, error):
        return "cannot be told"
    if gain < 0:
        return "misleads"
    confirmed, error = band["confirmed"], band["confirmed_error"]
    if confirmed + CERTAIN * error < 1:
        return "partly invented"
    return "more than it says" if confirmed - CERTAIN * error > 1 else "as it says"


def _curves(check: Check) -> Picture:
    import numpy as np

    table = check.bands
    middle = (table["shell"] + table["last_shell"]).to_numpy() / 2
    resolution = np.concatenate([[np.inf], check.box * check.pixel_size / middle])
    low, high = (table["gain"] + sign * CERTAIN * table["gain_error"] for sign in (-1, 1))
    curves = {"gain of the prior": table["gain"], "− 2 standard errors": low, "+ 2 standard errors": high}
    padded = {name: np.concatenate([[0.0], values.to_numpy()]) for name, values in curves.items()}
    png = shell_curves(resolution, padded, label="gain over the linear estimate", line=0.0)
    return Picture(png, "Gain of the prior over the linear estimate by resolution", "Gain by band of shells.", 660)


def _reach(check: Check) -> str:
    reach = check.reach_angstrom
    if reach is None:
        return "In no band from the lowest on is the prior surely better than the linear estimate."
    return f"From the lowest shells down to {reach:.3g} Å the prior is surely better than the linear estimate."
