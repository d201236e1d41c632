"""The cells of a benchmark of images: operators by kind of mask and compression, one by one or as a grid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from cryoprior.errors import InputError
from cryoprior.operators.base import MOST_BOX


@dataclass(frozen=True)
class ImageCell:
    """One measurement. mask: ``K=16`` or ``uniform``; variant: rows of a pixel mask, symmetry of a Fourier mask."""

    name: str
    operator: str
    series: str
    mask: str
    variant: str


@dataclass(frozen=True)
class PixelGrid:
    """Sums in blocks of K x K pixels: a cell for each compression K^2 / b (b rounded) and each kind of rows."""

    block: int
    compressions: tuple[float, ...]
    rows: tuple[str, ...] = ("hadamard",)
    sets: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.block <= MOST_BOX:
            raise InputError(f"bench: [[pixel]] of block = {str(self.block)[:80]}; expected 1 to {MOST_BOX}")
        _check_compressions(f"[[pixel]] of block = {self.block}", self.compressions)

    def cells(self) -> Iterator[ImageCell]:
        """Yield the cells, in the order in which they are given."""
        for compression in self.compressions:
            masks = round(self.block**2 / compression)
            for rows in self.rows:
                spec = f"pixel:block={self.block},masks={masks},rows={rows},sets={self.sets}"
                mask = f"K={self.block}"
                yield ImageCell(f"{mask} C={compression:g} {rows}", spec, "pixel", mask, rows)


@dataclass(frozen=True)
class FourierGrid:
    """Fourier coefficients of a pattern: a cell for each compression and each symmetry."""

    pattern: str
    compressions: tuple[float, ...]
    symmetry: tuple[str, ...] = ("hermitian",)
    sets: int = 1

    def __post_init__(self) -> None:
        _check_compressions(f"[[fourier]] of pattern = {self.pattern!r}", self.compressions)

    def cells(self) -> Iterator[ImageCell]:
        """Yield the cells, in the order in which they are given."""
        for compression in self.compressions:
            for symmetry in self.symmetry:
                spec = (
                    f"fourier:pattern={self.pattern},compression={compression:g},symmetry={symmetry},sets={self.sets}"
                )
                name = f"{self.pattern} C={compression:g} {symmetry}"
                yield ImageCell(name, spec, "fourier", self.pattern, symmetry)


@dataclass(frozen=True)
class FreeCell:
    """A cell of any operator. mask: the row that it stands in; its name where not given."""

    name: str
    operator: str
    series: str = "pixel"
    mask: str | None = None
    variant: str = ""

    def cells(self) -> Iterator[ImageCell]:
        """Yield the one cell."""
        yield ImageCell(self.name, self.operator, self.series, self.mask or self.name, self.variant)


@dataclass(frozen=True)
class PublishedGrid:
    """The cells of the paper's Tables 1 and 2, each with every kind of rows or symmetry that is named.

    masks: only these (``K=16``, ``ring``); all where none is named. at_least: the lowest compression.
    """

    rows: tuple[str, ...] = ()
    symmetry: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    at_least: float = 1.0
    sets: int = 1

    def cells(self, published: pd.DataFrame) -> Iterator[ImageCell]:
        """Yield the cells in the order of the published figures; see :func:`read_published`.

        Raises
        ------
        InputError: a mask that has no published figure.
        """
        known = list(dict.fromkeys(published["mask"]))
        unknown = sorted(set(self.masks) - set(known))
        if unknown:
            raise InputError(f"bench: [grid]: masks {', '.join(unknown)}; expected some of {', '.join(known)}")
        for mask, figures in published[published["compression"] >= self.at_least].groupby("mask", sort=False):
            if not self.masks or mask in self.masks:
                yield from self._grid(str(mask), tuple(figures["compression"].astype(float))).cells()

    def _grid(self, mask: str, compressions: tuple[float, ...]) -> PixelGrid | FourierGrid:
        if mask.startswith("K="):
            return PixelGrid(int(mask.removeprefix("K=")), compressions, self.rows, self.sets)
        return FourierGrid(mask, compressions, self.symmetry, self.sets)


def _check_compressions(where: str, compressions: tuple[float, ...]) -> None:
    if not all(0 < compression < math.inf for compression in compressions):
        raise InputError(f"bench: {where}: compressions {list(compressions)}; expected numbers above 0")
