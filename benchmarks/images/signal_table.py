"""Tables of what signal_floors.py found, as markdown: python benchmarks/images/signal_table.py FOLDER"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

SHOWN = ("signal", "Wiener signal", "least squares, low-passed", "least squares", "mean image", "recorded image")
BESIDE = ("posterior mean", "posterior mean, low-passed", "Gaussian mean")


def number(value: float, digits: int = 3) -> str:
    """Return ``.123``."""
    return f"{value:z.{digits}f}".replace("0.", ".", 1)


def scores(rows: pd.DataFrame, names: Iterable[str]) -> str:
    """Return correlation and FRC by molecule and cell, means over mask seeds, errors over particles."""
    names = list(names)
    lines = [f"| molecule | measured | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for (molecule, cell), part in rows.groupby(["molecule", "cell"], sort=False):
        of = part.groupby("estimate")
        mean, error = of.mean(numeric_only=True), of.mean(numeric_only=True)
        cells = [
            f"{number(mean.loc[n, 'correlation'])} ± {number(error.loc[n, 'correlation_error'])} / "
            f"{number(mean.loc[n, 'frc'])} ± {number(error.loc[n, 'frc_error'])}"
            for n in names
        ]
        lines.append(f"| {molecule} | {cell} | {' | '.join(cells)} |")
    return "\n".join(lines)


def reaches(rows: pd.DataFrame, names: Iterable[str]) -> str:
    """Return the resolution to which the FRC is at least a half, means over seeds; a dash where it never is."""
    names = list(names)
    lines = [f"| molecule | measured | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for (molecule, cell), part in rows.groupby(["molecule", "cell"], sort=False):
        found = part.groupby("estimate")["frc_half_angstrom"].mean()
        cells = ["–" if pd.isna(found[n]) else f"{found[n]:.0f}" for n in names]
        lines.append(f"| {molecule} | {cell} | {' | '.join(cells)} |")
    return "\n".join(lines)


def averages(rows: pd.DataFrame, names: Iterable[str]) -> str:
    """Return means over molecules by cell, and the least and the largest gain of the signal over its Wiener floor."""
    names = list(names)
    lines = [f"| measured | {' | '.join(names)} | signal − Wiener, by molecule |", "|---|" + "---|" * (len(names) + 1)]
    for cell, part in rows.groupby("cell", sort=False):
        mean = part.groupby("estimate").mean(numeric_only=True)
        by = part.groupby(["molecule", "estimate"])[["correlation", "frc"]].mean().unstack("estimate")
        gains = [by[s]["signal"] - by[s]["Wiener signal"] for s in ("correlation", "frc")]
        cells = [f"{number(mean.loc[n, 'correlation'])} / {number(mean.loc[n, 'frc'])}" for n in names]
        shown = " / ".join(f"+{number(g.min())} to +{number(g.max())}" for g in gains)
        lines.append(f"| {cell} | {' | '.join(cells)} | {shown} |")
    return "\n".join(lines)


def misleading(bands: pd.DataFrame) -> str:
    """Return by band what the signal adds to the Wiener signal, how much is true, and what the check estimates."""
    lines = [
        "| molecule | measured | down to | adds | of it true | true gain | of it true, by check | gain, by check |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (molecule, cell, band), part in bands.groupby(["molecule", "cell", "band"], sort=False):
        m = part.mean(numeric_only=True)
        lines.append(
            f"| {molecule} | {cell} | {band} | {number(m['adds'], 2)} | {number(m['true_confirmed'], 2)} "
            f"| {number(m['true_gain'], 2)} | {number(m['check_confirmed'], 2)} ± "
            f"{number(m['check_confirmed_error'], 2)} | {number(m['check_gain'], 2)} ± "
            f"{number(m['check_gain_error'], 2)} |"
        )
    return "\n".join(lines)


def write(folder: Path) -> None:
    """Write table.md beside rows.csv and bands.csv."""
    rows, bands = (pd.read_csv(folder / name) for name in ("rows.csv", "bands.csv"))
    parts = [
        "Correlation / FRC with the clean image, means over molecules:",
        averages(rows, ("signal", "Wiener signal", "least squares, low-passed", "mean image", "recorded image")),
        "By molecule, ± one standard error over particles:",
        scores(rows, SHOWN),
        "Resolution (Å) to which the FRC is at least .5:",
        reaches(rows, SHOWN),
        "Beside them, estimates that keep the noise:",
        scores(rows, BESIDE),
        "Where the signal misleads, and what the check finds without the truth:",
        misleading(bands),
    ]
    (folder / "table.md").write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
