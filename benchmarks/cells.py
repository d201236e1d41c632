"""The cells of the paper's Tables 1 and 2 as operators: one for each choice of rows or symmetry."""

from __future__ import annotations

from dataclasses import dataclass

from cryoprior.operators import Operator, parse_operator

# K: (C as printed, LPIPS, SSIM) from left to right in Table 1
PIXEL = {
    2: ((4, 0.14, 0.31), (2, 0.12, 0.50), (1.3, 0.09, 0.68), (1, 0.06, 0.81)),
    4: ((16, 0.27, 0.18), (2.7, 0.12, 0.44), (1.5, 0.09, 0.68), (1, 0.06, 0.84)),
    8: ((10.7, 0.20, 0.15), (2.6, 0.15, 0.15), (1.5, 0.11, 0.43), (1, 0.07, 0.66)),
    16: ((10.2, 0.21, 0.15), (2.5, 0.17, 0.44), (1.4, 0.12, 0.62), (1, 0.10, 0.72)),
    32: ((10, 0.23, 0.17), (2.5, 0.18, 0.41), (1.4, 0.17, 0.48), (1, 0.16, 0.53)),
}
# pattern: (C as printed, LPIPS, SSIM) from top to bottom in Table 2
FOURIER = {
    "uniform": ((10, 0.21, 0.22), (2.5, 0.13, 0.63), (1.4, 0.05, 0.91), (1, 0.00, 1.00)),
    "ring": ((10, 0.26, 0.14), (2.5, 0.13, 0.44), (1.4, 0.06, 0.72), (1, 0.00, 1.00)),
    "spoke": ((10, 0.20, 0.23), (2.5, 0.11, 0.70), (1.4, 0.04, 0.92), (1, 0.00, 1.00)),
}
ROWS = ("bernoulli", "hadamard")
SYMMETRIES = ("published", "hermitian")


@dataclass(frozen=True)
class Cell:
    """One cell: what the paper prints, and an operator that it may stand for.

    mask: ``K=16`` or ``uniform``. variant: rows of a pixel mask, symmetry of a Fourier mask.
    compression, lpips, ssim: as printed.
    """

    table: int
    mask: str
    variant: str
    compression: float
    lpips: float
    ssim: float
    spec: str

    @property
    def name(self) -> str:
        """Return the name by which cells are chosen: ``pixel K=16 C=2.5 hadamard``."""
        kind = "pixel" if self.table == 1 else "fourier"
        return f"{kind} {self.mask} C={self.compression:g} {self.variant}"

    @property
    def comparable(self) -> bool:
        """Return whether the paper's figure was reached with what this cell measures; Hermitian masks see less."""
        return self.variant != "hermitian"

    def operator(self, box: int) -> Operator:
        """Return the operator for images of this box; one mask set for all particles, as in the paper."""
        return parse_operator(self.spec, box=box, seed=0)


def pixel_cells() -> list[Cell]:
    """Return Table 1 with both kinds of rows; b is K^2 / C, rounded."""
    return [
        Cell(1, f"K={k}", rows, c, lpips, ssim, f"pixel:block={k},masks={round(k * k / c)},rows={rows}")
        for k, printed in PIXEL.items()
        for c, lpips, ssim in printed
        for rows in ROWS
    ]


def fourier_cells() -> list[Cell]:
    """Return Table 2 with both symmetries."""
    return [
        Cell(2, pattern, symmetry, c, lpips, ssim, f"fourier:pattern={pattern},compression={c},symmetry={symmetry}")
        for pattern, printed in FOURIER.items()
        for c, lpips, ssim in printed
        for symmetry in SYMMETRIES
    ]


def all_cells() -> list[Cell]:
    """Return every cell of both tables."""
    return pixel_cells() + fourier_cells()


NAMED = (
    "pixel K=4 C=2.7 hadamard",
    "pixel K=16 C=2.5 bernoulli",
    "pixel K=16 C=10.2 hadamard",
    "pixel K=32 C=1.4 hadamard",
    "fourier uniform C=2.5 hermitian",
    "fourier uniform C=10 published",
)


def named_cells() -> list[Cell]:
    """Return the six cells on which what is slow is shown: both tables, all variants, low and high compression."""
    by_name = {cell.name: cell for cell in all_cells()}
    return [by_name[name] for name in NAMED]


def choose(cells: list[Cell], wanted: str | None) -> list[Cell]:
    """Return the cells whose name holds every word of one of the comma-separated wishes; all where none is given."""
    wishes = [set(wish.split()) for wish in (wanted or "").split(",")]
    return [cell for cell in cells if any(wish <= set(cell.name.split()) for wish in wishes)]
