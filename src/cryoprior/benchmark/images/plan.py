"""What a benchmark of images asks for: particles, cells (operators by compression), methods, seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cryoprior.benchmark.plan import SimulatePlan, check_unique
from cryoprior.errors import InputError
from cryoprior.operators import parse_operator
from cryoprior.prior.checkpoint import EMBEDDED
from cryoprior.reconstruction.choice import suited_prior
from cryoprior.solvers import Solver, parse_solver


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
        _check_compressions(f"[[pixel]] of block = {self.block}", self.compressions)

    def cells(self) -> Iterator[ImageCell]:
        """Yield the cells, the highest compression first as they are given."""
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
class ImageMethod:
    """One way to reconstruct.

    samples: results of so many independent seeds are averaged; what is averaged counts as a mean.
    particles: only so many of the first ones. cells: only in these; all where none is named.
    prior: another than the plan's.
    ours: it is compared with every other method of its kind, mean or sample, in the cells that both have.
    guess: what it calls a sample is an optimum and no draw; it is compared with means that are ours too.
    """

    name: str
    solver: str
    samples: int = 1
    particles: int | None = None
    cells: tuple[str, ...] = ()
    prior: str | None = None
    ours: bool = False
    guess: bool = False

    @cached_property
    def component(self) -> Solver:
        """The solver that the text names."""
        return parse_solver(self.solver)

    @property
    def estimate(self) -> str:
        """What its images are; averages of samples are means."""
        return "mean" if self.samples > 1 and self.component.estimate == "sample" else self.component.estimate


@dataclass(frozen=True)
class DownstreamPlan:
    """Folders of ``cryoprior heterogeneity`` and ``cryoprior model score`` for a row of the paper's Table 5."""

    method: str
    heterogeneity: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class ImagesPlan:
    """A table of image scores: particles (simulated, or a stack), cells, methods, seeds.

    star, clean: a stack and, row by row, its clean images where they are known; in place of ``simulate``.
    particles: only so many of the first ones. box, resize: as ``cryoprior measure`` has them.
    prior: the embedded one that suits each solver (default), or the folder of one.
    sigma: standard deviation of the noise added to each number. spectrum, dtype: as ``cryoprior reconstruct`` has them.
    lpips: auto, off or fetch, as ``cryoprior evaluate`` has it.
    named: cells that pictures are made of. headline: methods shown in the paper's own arrangement.
    published: CSV with mask, compression, lpips and ssim of the paper.
    """

    title: str
    methods: tuple[ImageMethod, ...]
    pixel: tuple[PixelGrid, ...] = ()
    fourier: tuple[FourierGrid, ...] = ()
    cells: tuple[FreeCell, ...] = ()
    simulate: SimulatePlan | None = None
    star: str | None = None
    clean: str | None = None
    particles: int | None = None
    box: int | None = None
    resize: str = "fourier"
    prior: str = "default"
    sigma: float = 0.0
    spectrum: str = "measured"
    contrast: str = "auto"
    dtype: str = "float32"
    lpips: str = "auto"
    named: tuple[str, ...] = ()
    headline: tuple[str, ...] = ()
    published: str | None = None
    downstream: tuple[DownstreamPlan, ...] = ()
    seeds: tuple[int, ...] = (0,)
    folder: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        if (self.simulate is None) == (self.star is None):
            raise InputError("bench: expected either [simulate] or star = ..., the particles to use; give one of them")
        if self.clean is not None and self.star is None:
            raise InputError("bench: clean = ... belongs to star = ...; simulated particles have their own")
        if not self.all_cells:
            raise InputError("bench: no cell; add [[pixel]], [[fourier]] or [[cells]]")
        if not self.methods:
            raise InputError("bench: no method; add [[methods]]")
        check_unique("cells", [cell.name for cell in self.all_cells])
        check_unique("methods", [method.name for method in self.methods])
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise InputError(f"bench: seeds {list(self.seeds)}; expected at least one, each once")
        for key, choices in CHOICES.items():
            if getattr(self, key) not in choices:
                raise InputError(f"bench: {key} = {getattr(self, key)!r}; expected one of {', '.join(choices)}")
        _check_least("particles", self.particles, 1)
        _check_least("box", self.box, 2)
        _check_least("sigma", self.sigma, 0)
        box = self.box or (self.simulate.box if self.simulate else None)
        for cell in self.all_cells if box else ():  # that of a stack is known when it is opened
            parse_operator(cell.operator, box=box)
        known = {cell.name for cell in self.all_cells}
        for method in self.methods:
            _check_least(f"{method.name}: samples", method.samples, 1)
            _check_least(f"{method.name}: particles", method.particles, 1)
            solver = parse_solver(method.solver)
            if method.samples > 1 and solver.estimate != "sample":
                raise InputError(
                    f"bench: {method.name}: samples = {method.samples}, but {method.solver} gives none; leave it out"
                )
            _check_known(f"{method.name}: cells", method.cells, known)
        _check_known("named", self.named, known)
        _check_known("headline", self.headline, {method.name for method in self.methods})

    @cached_property
    def all_cells(self) -> tuple[ImageCell, ...]:
        """Every cell of all grids."""
        grids: tuple[PixelGrid | FourierGrid | FreeCell, ...] = (*self.pixel, *self.fourier, *self.cells)
        return tuple(cell for grid in grids for cell in grid.cells())

    @property
    def seed(self) -> int:
        """The first seed, which pictures are of."""
        return self.seeds[0]

    def prior_of(self, method: ImageMethod) -> str:
        """Return the name or the folder of a method's prior."""
        named = method.prior or self.prior
        return suited_prior(named, method.component) if named in EMBEDDED else str(self.path(named))

    def path(self, text: str) -> Path:
        """Return a path of the file: absolute, or relative to the folder that the file lies in."""
        return self.folder / text


CHOICES = {
    "resize": ("fourier", "bicubic"),
    "spectrum": ("measured", "prior"),
    "contrast": ("auto", "bright", "dark"),
    "dtype": ("float32", "bfloat16"),
    "lpips": ("auto", "off", "fetch"),
}


def _check_known(what: str, names: tuple[str, ...], known: set[str]) -> None:
    unknown = sorted(set(names) - known)
    if unknown:
        raise InputError(f"bench: {what}: no {', '.join(unknown)}; expected some of {', '.join(sorted(known))}")


def _check_least(what: str, value: float | None, least: int) -> None:
    if value is not None and not value >= least:
        raise InputError(f"bench: {what} = {value:g}; expected at least {least}")


def _check_compressions(where: str, compressions: tuple[float, ...]) -> None:
    if not all(compression > 0 for compression in compressions):
        raise InputError(f"bench: {where}: compressions {list(compressions)}; expected numbers above 0")
