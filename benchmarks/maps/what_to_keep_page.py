"""The page of what to keep: predicted beside found, resolution against bytes, what a particle is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from benchmarks.kit.table import markdown

from cryoprior.report.figures import INK, LINE, QUIET, new_figure, png_bytes

Row = Mapping[str, str]
WHOLE, FEWER = "float32", "fewer"
LOOKS = {
    "format": ("#0b5fa5", "s"),
    "bits": ("#d4691e", "o"),
    "masks": ("#2a8a5f", "^"),
    "masks and bits": ("#8b4a9c", "D"),
    FEWER: ("#5a6470", "x"),
}
ABOUT = (
    "Maps with known poses of what was kept, judged by their half maps (FSC 0.143, in the mask that each map shows) "
    "and, where it is known, by the truth (FSC 0.5, in one mask). Worth: signal over noise of the map by the truth "
    "over that of whole images, median of shells 8 to 28. `fewer`: whole images of as many particles as take the "
    "same bytes. Predicted: by the plan, from a pilot of a fifth of the particles (of the real images half), with "
    "the range of one deviation."
)


def page(rows: Sequence[Row], made: str) -> tuple[str, dict[str, bytes]]:
    """Return the page as Markdown, and its pictures by name."""
    names = list(dict.fromkeys(row["data"] for row in rows))
    full = [name for name in names if sum(row["data"] == name for row in rows) > 8]
    parts = [
        "# What to keep of a particle",
        ABOUT,
        "![Resolution against bytes](what_to_keep/front.png)",
        f"## Predicted and found\n\n{_check(rows)}",
        *(f"## {name}\n\n{_table([row for row in rows if row['data'] == name])}" for name in full),
        made,
    ]
    return "\n\n".join(parts), {"front.png": _figure(rows, full), "predicted.png": _scatter(rows)}


def _check(rows: Sequence[Row]) -> str:
    """Return how the predictions fared: data sets down, whole images and all candidates."""
    lines, ratios, inside, known = [], [], 0, [row for row in rows if row["predicted"]]
    for name in dict.fromkeys(row["data"] for row in known):
        here = [row for row in known if row["data"] == name]
        of = [_number(row["predicted"]) / _number(row["found"]) for row in here]
        ratios += of
        within = [_number(row["finest"]) <= _number(row["found"]) <= _number(row["coarsest"]) for row in here]
        inside += sum(within)
        whole, bit = (next((r for r in here if r["way"] == way), None) for way in (WHOLE, "quantize:bits=1"))
        lines.append(
            [
                name,
                str(len(here)),
                *(text for row in (whole, bit) for text in _both(row)),
                f"{np.mean(of):.2f}",
                f"{sum(within)} of {len(here)}",
            ]
        )
    ratio = np.array([value for value in ratios if math.isfinite(value)])
    middle = " to ".join(f"{np.percentile(ratio, share):.2f}" for share in (16, 84))
    said = (
        f"Over {len(ratios)} maps of {len(lines)} data sets the predicted resolution is {np.median(ratio):.2f} times "
        f"the one found (median; {middle} are the middle 68 %), and the found one lies within the range of one "
        f"deviation {inside} times of {len(ratios)}. Within a data set all candidates have one pilot, so their errors "
        "are one."
    )
    head = ["data", "maps", "whole: predicted", "found", "one bit: predicted", "found", "predicted / found", "in range"]
    return f"{said}\n\n{markdown(head, lines)}\n![Predicted against found](what_to_keep/predicted.png)"


def _both(row: Row | None) -> tuple[str, str]:
    if row is None:
        return "", ""
    ends = " to ".join(f"{_number(row[end]):.1f}" for end in ("finest", "coarsest"))
    return f"{_number(row['predicted']):.1f} ({ends})", f"{_number(row['found']):.1f}"


def _table(rows: Sequence[Row]) -> str:
    front = _front(rows)
    head = [
        "kept",
        "particles",
        "bytes",
        "smaller",
        "half maps, \u00c5",
        "truth, \u00c5",
        "predicted, \u00c5",
        "worth",
        "predicted worth",
    ]
    whole = next(_number(row["bytes"]) for row in rows if row["way"] == WHOLE)
    lines = []
    for row in sorted(rows, key=lambda row: (-_number(row["bytes"]), row["kind"] == FEWER)):
        name = f"**{row['way']}**" if row["way"] in front else row["way"]
        shown = [_text(row[key], 1) for key in ("found", "truth")]
        predicted = _both(row)[0] if row["predicted"] else ""
        worths = [_text(row[key], 2) for key in ("worth", "predicted_worth")]
        size = _number(row["bytes"])
        lines.append([name, row["n"], f"{size:,.0f}", f"{whole / size:.3g}", *shown, predicted, *worths])
    return f"{markdown(head, lines)}\nBold: the Pareto front of bytes and half maps."


def _front(rows: Sequence[Row]) -> set[str]:
    """Return the ways that no other beats in both bytes and found resolution."""
    kept, best = set(), math.inf
    for row in sorted(rows, key=lambda row: (_number(row["bytes"]), _number(row["found"]))):
        if _number(row["found"]) < best - 1e-6:
            kept.add(row["way"])
            best = _number(row["found"])
    return kept


def _figure(rows: Sequence[Row], names: Sequence[str]) -> bytes:
    """Return found resolution against bytes, a panel a data set, with the Pareto front."""
    down = -(-len(names) // 2)
    figure = new_figure(9.6, 3.4 * down)
    grid = figure.subplots(down, 2, squeeze=False, gridspec_kw={"hspace": 0.45, "wspace": 0.22})
    for axes, name in zip(grid.flat, names, strict=False):
        here = [row for row in rows if row["data"] == name and math.isfinite(_number(row["found"]))]
        for kind, (colour, marker) in LOOKS.items():
            of = [row for row in here if row["kind"] == kind]
            axes.plot(
                [_number(r["bytes"]) for r in of], [_number(r["found"]) for r in of], marker, color=colour, label=kind
            )
        on = _front(here)
        line = sorted((_number(r["bytes"]), _number(r["found"])) for r in here if r["way"] in on)
        axes.plot(*zip(*line, strict=True), color=QUIET, linestyle="--", linewidth=1.0, zorder=1, label="Pareto front")
        axes.set_xscale("log")
        axes.invert_yaxis()
        axes.set_title(name, fontsize=10, color=INK, loc="left")
        axes.set_xlabel("bytes a particle", color=INK, fontsize=9)
        axes.set_ylabel("half maps, FSC 0.143 (\u00c5)", color=INK, fontsize=9)
        axes.grid(axis="y", color=LINE, linewidth=0.7)
    for axes in list(grid.flat)[len(names) :]:
        axes.set_visible(False)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=6, frameon=False, fontsize=9, bbox_to_anchor=(0.5, -0.02))
    return png_bytes(figure)


def _scatter(rows: Sequence[Row]) -> bytes:
    """Return predicted against found resolution with the ranges."""
    figure = new_figure(5.6, 5.0)
    axes = figure.subplots()
    known = [
        row for row in rows if row["predicted"] and all(math.isfinite(_number(row[k])) for k in ("predicted", "found"))
    ]
    for kind, (colour, marker) in LOOKS.items():
        of = [row for row in known if row["kind"] == kind]
        x, y = ([_number(row[key]) for row in of] for key in ("found", "predicted"))
        ends = [[max(0.0, b - _number(row["finest"])) for row, b in zip(of, y, strict=True)]]
        ends.append([max(0.0, min(_number(row["coarsest"]), 99.0) - b) for row, b in zip(of, y, strict=True)])
        if of:
            axes.errorbar(x, y, yerr=ends, fmt=marker, color=colour, markersize=4, elinewidth=0.6, label=kind)
    ends = [_number(row[key]) for row in known for key in ("found", "predicted")]
    low, high = 0.85 * min(ends), 1.15 * max(ends)
    axes.plot([low, high], [low, high], color=QUIET, linewidth=0.9)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    ticks = [8, 10, 12, 15, 20, 30, 40, 60, 90]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks, [str(tick) for tick in ticks])
        axis.set_ticks([], minor=True)
    axes.set_xlabel("found (\u00c5)", color=INK)
    axes.set_ylabel("predicted (\u00c5)", color=INK)
    axes.legend(frameon=False, fontsize=9)
    return png_bytes(figure)


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _text(text: str, digits: int) -> str:
    value = _number(text)
    return "" if math.isnan(value) else "none" if math.isinf(value) else f"{value:.{digits}f}"
