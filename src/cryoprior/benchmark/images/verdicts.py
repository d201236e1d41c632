"""The conclusions of a benchmark of images: comparisons, cost, operating points, and states and atomic models."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from cryoprior.benchmark.images.sheet import Sheet, general, short
from cryoprior.benchmark.images.sheets import method_names
from cryoprior.benchmark.operating_point import operating_points

LOWER = "LOWER"
ESTIMATES = (
    ("mean", "means against means"),
    ("sample", "samples against samples"),
    ("other", "against methods of another kind"),
)
COST = (
    ("evaluations", "forward"),
    ("backward", "backward"),
    ("seconds", "seconds"),
    ("seconds_network", "in the network"),
    ("seconds_own", "own"),
    ("memory_mb", "memory (MiB)"),
    ("residual", "residual"),
)
REACHED, NEVER = 0.8, "never"


def comparison_sheets(pairs: pd.DataFrame) -> Iterator[Sheet]:
    """Yield a sheet of means against means and one of samples against samples, where there are some."""
    columns = [
        "cell",
        "ours",
        "other",
        "Δ FRC",
        "verdict",
        "Δ correlation",
        "power",
        "n",
        "forward",
        "backward",
        "ratio",
    ]
    for estimate, words in ESTIMATES:
        compared = pairs[pairs["estimate"] == estimate]
        if len(compared):
            lines = [_pair_line(pair) for pair in compared.to_dict("records")]
            yield Sheet(f"Comparisons, {words}", columns, lines, verdict(compared, words), names=3)


def verdict(pairs: pd.DataFrame, words: str) -> str:
    """Return the sentence that counts the comparisons, and names those in which ours is lower."""
    lower = pairs[pairs["verdict"] == LOWER]
    lost = "; ".join(f"{pair['other']} above {pair['ours']} at {pair['cell']}" for pair in lower.to_dict("records"))
    return (
        f"Of {len(pairs)} comparisons, {words}, the FRC of ours is lower by more than two paired standard errors in "
        f"{len(lower)}{f': {lost}' if lost else ''}. Δ: ours − other, ± one paired standard error. "
        "Power: variance of the images over that of the recorded ones, ours / other; of two samples the one with less "
        "of it lies nearer to the mean, and scores better for that alone. Forward: network evaluations per image, ours "
        "/ other, and their ratio; backward: those of the other."
    )


def cost_sheet(rows: pd.DataFrame) -> Sheet:
    """Return the cost per image of each method, medians over cells and seeds."""
    cells = rows[(rows["cell"] != "") & (rows["kind"] == "method")]
    medians = cells.groupby("method", sort=False)[[column for column, _ in COST]].median()
    lines = [[str(name), *(general(float(value)) for value in line)] for name, line in medians.iterrows()]
    note = (
        "Medians over cells and seeds: forward and backward network evaluations per image; seconds per image, and "
        "of these in the network and the method's own; peak memory; relative residual ‖Ax − y‖/‖y‖."
    )
    return Sheet("Cost of an image", ["method", *(title for _, title in COST)], lines, note)


def operating_sheet(rows: pd.DataFrame) -> Sheet:
    """Return the largest nominal compression at which each method has an SSIM of 0.8, masks down, methods across."""
    methods, lines = method_names(rows), []
    points = operating_points(rows, "ssim", REACHED)
    for names, line in points.groupby(["series", "mask", "variant"], sort=False):
        reached = dict(zip(line["method"], line["compression"], strict=True))
        texts = [(NEVER if math.isnan(reached[m]) else general(reached[m])) if m in reached else "" for m in methods]
        lines.append([" ".join(name for name in names if name), *texts])
    note = "The rule of the paper: the fewest measurements (largest C) with an SSIM of 0.8 against the recorded image."
    return Sheet(f"Operating points, SSIM of at least {short(REACHED, 1)}", ["masks", *methods], lines, note)


def downstream_sheet(downstream: Sequence[Mapping[str, Any]]) -> Sheet:
    """Return the shape of Table 5: agreement of conformational states, and what atomic models share.

    Each of ``downstream`` has method, agreement (cluster to share), agreement_all, chains (of the original's model,
    of the reconstruction's), pairs, rmsd_angstrom and confidence (of both); what is None or absent stays empty.
    """
    clusters = list(dict.fromkeys(name for result in downstream for name in result.get("agreement") or {}))
    lines = []
    for result in downstream:
        shares = result.get("agreement") or {}
        line = [str(result["method"]), *(_percent(shares.get(name)) for name in clusters)]
        line += [_percent(result.get("agreement_all")), _both(result.get("chains"), ".0f")]
        line += [_known(result.get("pairs"), ".0f"), _known(result.get("rmsd_angstrom"), ".2f")]
        lines.append([*line, _both(result.get("confidence"), ".1f")])
    columns = ["method", *clusters, "all", "chains", "pairs", "RMSD (Å)", "confidence"]
    note = (
        "Agreement of conformational states by cluster and over all particles; chains and confidence of the original's "
        "atomic model / the reconstruction's, their pairs, and the backbone RMSD of these."
    )
    return Sheet("States and atoms", columns, lines, note)


def _pair_line(pair: Mapping[str, Any]) -> list[str]:
    other = f"**{pair['other']}**" if pair["verdict"] == LOWER else str(pair["other"])
    correlation, frc = (_gain(pair[name], pair[f"{name}_error"]) for name in ("correlation", "frc"))
    counts = ("evaluations_ours", "evaluations_other", "backward_other")
    ours, theirs, backward = (general(float(pair[name])) for name in counts)
    ratio = f"{general(float(pair['ratio']))}×" if math.isfinite(pair["ratio"]) else ""
    names = [str(pair["cell"]), str(pair["ours"]), other]
    power = " / ".join(short(float(pair[name]), 2) for name in ("power_ours", "power_other"))
    verdict = [frc, str(pair["verdict"]), correlation, power, f"{pair['n']}"]
    return [*names, *verdict, f"{ours} / {theirs}", backward, ratio]


def _gain(difference: float, error: float) -> str:
    return "" if math.isnan(difference) else f"{short(difference, 4, '+')} ± {short(error, 4)}"


def _known(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _both(values: Sequence[float | None] | None, form: str) -> str:
    """Return ``a / b``, a dash for the one that is not known."""
    return "" if values is None else " / ".join(_known(value, form) or "–" for value in values)
