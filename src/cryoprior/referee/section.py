"""What a page shows of an audit: warnings, curves, worth by shell, and central sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cryoprior.metrics.gate import PRIOR_ONLY
from cryoprior.referee.figure import agreement_picture, worth_picture
from cryoprior.referee.result import Audit
from cryoprior.referee.volumes import weighted
from cryoprior.referee.words import MEANING
from cryoprior.report.page import Alert, Block, KeyValues, Picture, Prose, Table
from cryoprior.report.volumes import slice_montage

CONDITION = (
    "It holds where neither poses nor prior saw the other half: half sets refined apart, a prior that was not trained "
    "on these particles, or one trained for each half. And where views cover the sphere: the half maps know nothing of "
    "directions that were not seen."
)
METHOD = (
    "The noise of half map 2 is independent of everything made of half 1. So the FSC of the prior's map of half 1 with "
    "half map 2 is its FSC with the truth times √FSC of the half maps. The FSC of the prior's two maps with each other "
    "counts what the prior adds to both as signal."
)
CURVES = (
    "Bars are one standard error. The band below says what each shell rests on. The curve of the prior's two maps is "
    "their FSC with each other."
)
GATED = (
    "The gated map takes from the prior's maps what the other half confirms, less two standard errors, and is the "
    "prior-free map in all other shells; within a mask nothing is left outside. The prior's map is the mean of those "
    "of both halves: only that one can be checked. "
    "Worths above 4 are drawn at 4; such a prior is worth at least what is said, since the noise hides how good it is."
)
SECTIONS = (
    "Central sections, every shell weighted by its agreement with the truth; shells that are unknown are left out."
)
CURVES_WIDTH, SECTION_WIDTH = 720, 220


def audit_pictures(audit: Audit) -> dict[str, bytes]:
    """Return the pictures of an audit by name, as PNG: ``agreement`` and ``worth`` by shell."""
    return {"agreement": agreement_picture(audit), "worth": worth_picture(audit)}


def audit_alerts(audit: Audit) -> list[Block]:
    """Return what must be read before the maps of an audit are used."""
    alerts: list[Block] = []
    if audit.other_half_seen:
        alerts.append(Alert("The prior has seen the other half", "The condition of the audit is broken; see below."))
    if PRIOR_ONLY in audit.verdicts:
        said = MEANING[PRIOR_ONLY].capitalize() + "; do not interpret it."
        alerts.append(Alert("Some detail is the prior's alone", said))
    return alerts


def agreement_blocks(audit: Audit, png: bytes) -> list[Block]:
    """Return the curves of agreement with the truth, what the verdicts mean, and when it all holds."""
    return [
        Picture(png, "agreement with the truth by shell", CURVES, CURVES_WIDTH),
        KeyValues([(name, f"{text}.") for name, text in MEANING.items()]),
        Prose(METHOD),
        Alert("When it holds", CONDITION, "note"),
    ]


def worth_blocks(audit: Audit, png: bytes, file: str = "verdict.csv") -> list[Block]:
    """Return what the maps are worth by shell, as a picture and as a table; ``file`` has all shells."""
    caption = f"Agreement with the truth and worth by shell. All shells are in {file}."
    return [
        Picture(png, "particles that the maps are worth, by shell", GATED, CURVES_WIDTH),
        Table(*_table(audit), caption),
    ]


def sections_block(audit: Audit) -> Picture:
    """Return central sections of the prior-free, the prior's and the gated map, each weighted by its agreement.

    Where no shell is known they are shown as they are; a map that has one value everywhere is left out.
    """
    free, prior = (audit.known(estimate)[0] for estimate in (audit.found.free(), audit.found.prior()))
    maps = {
        "prior-free": (audit.maps.free, free),
        "prior's": (audit.maps.prior, prior),
        "gated": (audit.maps.gated, audit.weights.gated),
    }
    known = bool(audit.found.known[1:].any())
    shown = {name: (weighted(volume, curve) if known else volume).numpy() for name, (volume, curve) in maps.items()}
    pictured = {name: volume for name, volume in shown.items() if volume.max() > volume.min()}
    montage = slice_montage(pictured, audit.voxel_size_angstrom, 3)
    caption = SECTIONS if known else "Central sections, unfiltered: no shell is known."
    return Picture(montage, "central sections of the maps", caption, len(pictured) * SECTION_WIDTH)


def _table(audit: Audit, most: int = 24) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return heads and rows of at most so many shells, evenly spread."""
    rows = audit.rows()
    chosen = sorted({int(k) for k in np.linspace(0, len(rows) - 1, min(most, len(rows)))})
    heads = ("shell", "Å", "prior-free", "prior's", "gated", "worth ×", "verdict")
    return heads, [_row(rows[k]) for k in chosen]


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        str(row["shell"]),
        f"{row['angstrom']:.1f}",
        _with_error(row["free"], row["free_error"]),
        _with_error(row["prior"], row["error"]),
        _with_error(row["gated"], row["gated_error"]),
        "–" if row["prior"] is None else _with_error(row["worth"], row["worth_error"], 2),
        str(row["verdict"]),
    )


def _with_error(value: float | None, error: float | None, digits: int = 3) -> str:
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if not error else f"{value:.{digits}f} ± {error:.{digits}f}"
