"""The page of an audit: the verdict in words, by shell, and what the maps look like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cryoprior.metrics.gate import PRIOR_ONLY
from cryoprior.referee.figure import agreement_picture, worth_picture
from cryoprior.referee.result import Audit
from cryoprior.referee.words import MEANING, sentences
from cryoprior.report.page import Alert, Block, KeyValues, Lead, Picture, Prose, Section, Table, write_page
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
    "prior-free map elsewhere. The prior's map is the mean of those of both halves: only that one can be checked. "
    "Worths above 4 are drawn at 4; such a prior is worth at least what is said, since the noise hides how good it is."
)
CURVES_WIDTH, SECTION_WIDTH = 720, 220


def write_audit_page(folder: Path, audit: Audit, inputs: Mapping[str, str]) -> None:
    """Write report.html, agreement.png and worth.png; ``inputs`` names the files."""
    pictures = {"agreement": agreement_picture(audit), "worth": worth_picture(audit)}
    for name, png in pictures.items():
        (folder / f"{name}.png").write_bytes(png)
    write_page(folder / "report.html", "Audit of a prior", _sections(audit, inputs, pictures), "by the other half")


def _sections(audit: Audit, inputs: Mapping[str, str], pictures: Mapping[str, bytes]) -> list[Section]:
    first, *others = sentences(audit)
    head: list[Block] = [Lead(first), *(Prose(text) for text in others)]
    if audit.other_half_seen:
        head.append(Alert("The prior has seen the other half", "The condition of the audit is broken; see below."))
    if PRIOR_ONLY in audit.verdicts:
        head.append(
            Alert("Some detail is the prior's alone", MEANING[PRIOR_ONLY].capitalize() + "; do not interpret it.")
        )
    head.append(KeyValues([*inputs.items(), ("Box", f"{audit.box} voxels of {audit.voxel_size_angstrom:.3f} Å")]))
    curves: list[Block] = [
        Picture(pictures["agreement"], "agreement with the truth by shell", CURVES, CURVES_WIDTH),
        KeyValues([(name, f"{text}.") for name, text in MEANING.items()]),
        Prose(METHOD),
        Alert("When it holds", CONDITION, "note"),
    ]
    worth: list[Block] = [
        Picture(pictures["worth"], "particles that the maps are worth, by shell", GATED, CURVES_WIDTH),
        Table(*_table(audit), "Agreement with the truth and worth by shell. All shells are in verdict.csv."),
    ]
    shown = {"prior-free": audit.maps.free, "prior's": audit.maps.prior, "gated": audit.maps.gated}
    montage = slice_montage({name: volume.numpy() for name, volume in shown.items()}, audit.voxel_size_angstrom, 3)
    looks = Picture(montage, "central sections of the maps", "Central sections, unfiltered.", 3 * SECTION_WIDTH)
    return [
        Section("", head),
        Section("Agreement with the truth", curves),
        Section("Worth", worth),
        Section("Sections", [looks]),
    ]


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
