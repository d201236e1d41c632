"""A table for Markdown and for a page, and how its numbers are written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from cryoprior.report.labels import wrapped
from cryoprior.report.page import Table

BOLD = re.compile(r"\*\*(.+?)\*\*")
PAGE_WIDTH, GAP = 120, 3.5  # width of a page, and gap between two columns, in characters
HEAD, NAME, WORDS = 14, 30, 24  # characters beyond which a page breaks a column head, a row's name, a cell of words


@dataclass(frozen=True)
class MarkedTable(Table):
    """A table on a page in which text between two asterisks is bold."""

    def html(self) -> str:
        return BOLD.sub(r"<strong>\1</strong>", super().html())


@dataclass(frozen=True)
class Sheet:
    """A table with a heading, column heads and a note on its meaning; the first ``names`` columns name a row."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    names: int = 1

    def markdown(self) -> str:
        """Return the sheet as a section of Markdown."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"### {self.heading}\n\n{table}\n" + (f"\n{self.note}\n" if self.note else "")

    def blocks(self) -> list[MarkedTable]:
        """Return the sheet as tables of a page, as many as its width needs, without the rows that are empty in one."""
        bands = self._bands()
        tables = []
        for i, band in enumerate(bands, 1):
            part = f" ({i} of {len(bands)})" if len(bands) > 1 else ""
            caption = f"{self.heading}{part}. {self.note if i == len(bands) else ''}".strip()
            head, *rows = ([line[j] for j in (*range(self.names), *band)] for line in (self.columns, *self.rows))
            tables.append(MarkedTable(head, [row for row in rows if any(row[self.names :])] or rows, caption))
        return tables

    def _bands(self) -> list[list[int]]:
        """Return the columns of each table beside those that name its rows: as few tables as fit, evenly filled."""
        widths = [self._width(j) + GAP for j in range(len(self.columns))]
        most = PAGE_WIDTH - sum(widths[: self.names])
        fewest = len(_fill(widths, self.names, most))
        tries = (_fill(widths, self.names, room) for room in range(1, PAGE_WIDTH))
        return next(bands for bands in tries if len(bands) == fewest)

    def _width(self, column: int) -> int:
        """Return the characters of the longest line in a column."""
        head = max(map(len, wrapped(self.columns[column], HEAD).split("\n")))
        longest = max((len(BOLD.sub(r"\1", row[column])) for row in self.rows), default=0)
        return max(head, min(longest, NAME if column < self.names else WORDS))


def _fill(widths: Sequence[float], first: int, room: float) -> list[list[int]]:
    """Return the columns from ``first`` on in groups, each as wide as the room allows, or of one column."""
    bands: list[list[int]] = [[]]
    for j in range(first, len(widths)):
        if bands[-1] and sum(widths[k] for k in (*bands[-1], j)) > room:
            bands.append([])
        bands[-1].append(j)
    return bands


@dataclass(frozen=True)
class Spread:
    """The mean of a score over seeds, its standard deviation (NaN for a single seed), and the decimals to show."""

    mean: float
    std: float
    digits: int = 3

    @classmethod
    def of(cls, values: pd.Series, digits: int = 3) -> Spread:
        """Return mean and standard deviation of one value per seed."""
        return cls(float(values.mean()), float(values.std(ddof=1)), digits)

    @property
    def rounded(self) -> float:
        """The mean as it is shown: what looks equal is equal."""
        return round(self.mean, self.digits)

    def text(self, strong: bool = False) -> str:
        """Return ``.143`` or, where it varies, ``.143 ± .002``, bold where it is best; a dash where it is unknown."""
        if math.isnan(self.mean):
            return "–"
        shown = short(self.mean, self.digits)
        shown = f"**{shown}**" if strong else shown
        varies = not math.isnan(self.std) and round(self.std, self.digits) > 0
        return f"{shown} ± {short(self.std, self.digits)}" if varies else shown


def short(value: float, digits: int = 3, sign: str = "") -> str:
    """Return a number as the paper writes it, without the zero before the point; empty where there is none."""
    if math.isnan(value):
        return ""
    text = f"{value:{sign}z.{digits}f}"
    return text.replace("0.", ".", 1) if text.lstrip("+-").startswith("0.") else text


def general(value: float, digits: int = 3) -> str:
    """Return a number with ``digits`` significant digits and its whole part in full; empty where there is none."""
    if math.isnan(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def winners(scores: Mapping[str, Spread], groups: Iterable[Iterable[str]], higher: bool) -> set[str]:
    """Return the names with the best score of each group; what looks equal wins together, and nothing wins alone."""
    best: set[str] = set()
    for group in groups:
        known = {name: scores[name].rounded for name in group if name in scores and not math.isnan(scores[name].mean)}
        if len(known) > 1:
            top = max(known.values()) if higher else min(known.values())
            best |= {name for name, value in known.items() if value == top}
    return best
