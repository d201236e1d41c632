"""The verdict of an audit in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from cryoprior.metrics.gate import MEASURED, PRIOR_ONLY, SUPPORTED, UNKNOWN

if TYPE_CHECKING:
    from cryoprior.referee.result import Audit

MEANING = {
    MEASURED: "the data carry the shell; the prior adds nothing that they confirm",
    SUPPORTED: "the prior adds to the shell, and the half that it did not see confirms it",
    PRIOR_ONLY: "the prior's maps share detail that the truth has not: it comes from the prior alone",
    UNKNOWN: "the half maps agree too little (FSC below 0.1, or within noise) to judge",
}
"""What a verdict on a shell says."""

UNMASKED = (
    "No mask was given: the solvent of the whole box, which a prior makes flat, is part of these worths, and inside "
    "the molecule they are smaller."
)

CUTS = 0.005
"""Share of the particle outside a mask above which it is said to cut the particle."""


def sentences(audit: Audit) -> list[str]:
    """Return the verdict on the maps, the most important sentence first: what must not be believed, if anything."""
    return [
        sentence for part in (_seen, _cut, _views, _invented, _worth, _randomised, _unknown) for sentence in part(audit)
    ]


def runs(verdicts: Sequence[str], wanted: str) -> list[tuple[int, int]]:
    """Return the first and the last shell of every run of one verdict, shell 0 left out."""
    found, start = [], 1
    for verdict, group in groupby(verdicts[1:]):
        end = start + len(list(group)) - 1
        if verdict == wanted:
            found.append((start, end))
        start = end + 1
    return found


def _seen(audit: Audit) -> Iterator[str]:
    if audit.other_half_seen:
        yield (
            "The prior's maps agree with the half that they should not have seen better than the truth itself could: "
            "they have seen it, and nothing below holds. Make each of its own half alone, with poses of its own."
        )


def _cut(audit: Audit) -> Iterator[str]:
    if audit.cut_share > CUTS:
        yield (
            f"The mask leaves out {audit.cut_share:.1%} of the particle: the gate is closed, and what is said below "
            "holds within the mask only. Give a mask that holds the whole particle."
        )


def _views(audit: Audit) -> Iterator[str]:
    if audit.missing_views:
        yield (
            "Views leave directions out: the truth is judged without these, so that agreement and worth are overstated."
        )


def _worth(audit: Audit) -> Iterator[str]:
    supported = runs(audit.verdicts, SUPPORTED)
    if not bool(audit.found.known[1:].any()):
        yield "The half maps agree too little to judge the prior."
    elif audit.cut_share > CUTS:
        yield "The gated map is the map without the prior."
    elif not supported:
        yield "The data confirm nothing that the prior adds: use the map without it."
    else:
        yield f"The half that the prior did not see confirms what it adds {_ranges(audit, supported)}."
        if bool(audit.judged.any()):
            worth, alone = audit.worth, audit.prior_worth
            span = f"from {_angstrom(audit, worth.first)} to {_angstrom(audit, worth.last)} Å"
            yield (
                f"The gated map is worth {worth.ratio:.2f} ± {worth.error:.2f} times the particles {span}; the prior's "
                f"own map is worth {alone.ratio:.2f} ± {alone.error:.2f} times."
            )
            if not audit.masked:
                yield UNMASKED


def _invented(audit: Audit) -> Iterator[str]:
    alone = runs(audit.verdicts, PRIOR_ONLY)
    if alone:
        shells = [k for first, last in alone for k in range(first, last + 1)]
        halves = float(audit.found.prior_fsc[shells].mean())
        truth = float(audit.found.prior_of_half().value[shells].mean())
        ranges = _ranges(audit, alone)
        yield (
            f"{ranges[0].upper()}{ranges[1:]} the prior's two maps agree with each other (FSC {halves:.2f}) more "
            f"than with the truth ({truth:.2f}): that detail is the prior's alone."
        )


def _randomised(audit: Audit) -> Iterator[str]:
    if audit.randomised is not None:
        pair, before = audit.randomised, audit.found.prior_fsc
        yield (
            f"With random phases beyond {_angstrom(audit, pair.from_shell)} Å the prior's maps have an FSC of "
            f"{float(pair.fsc[pair.first :].mean()):.2f} there, {float(before[pair.first :].mean()):.2f} with the real "
            f"phases: {pair.invented_share(before):.0%} of their agreement was not measured."
        )


def _unknown(audit: Audit) -> Iterator[str]:
    unknown = runs(audit.verdicts, UNKNOWN)
    if unknown and bool(audit.found.known[1:].any()):
        first, last = unknown[-1]
        if last == len(audit.verdicts) - 1:
            yield f"Beyond {_angstrom(audit, max(1, first - 1))} Å nothing can be said."


def _ranges(audit: Audit, found: Sequence[tuple[int, int]]) -> str:
    """Return runs of shells in angstrom; the longest three."""
    longest = sorted(sorted(found, key=lambda run: run[0] - run[1])[:3])
    parts = [_range(audit, *run) for run in longest]
    rest = sum(last - first + 1 for first, last in found) - sum(last - first + 1 for first, last in longest)
    words = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    return f"{words}{f' and in {rest} more shells' if rest else ''}"


def _range(audit: Audit, first: int, last: int) -> str:
    coarse, fine = _angstrom(audit, first), _angstrom(audit, last)
    return f"at {coarse} Å" if coarse == fine else f"from {coarse} to {fine} Å"


def _angstrom(audit: Audit, shell: int) -> str:
    return f"{float(audit.angstrom[shell]):.1f}"
