"""What a benchmark of images asks for: particles, cells (operators by compression), methods, seeds."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from cryoprior.benchmark.images.cells import FourierGrid, FreeCell, ImageCell, PixelGrid, PublishedGrid
from cryoprior.benchmark.images.published import read_published
from cryoprior.benchmark.images.scorer import image_scores
from cryoprior.benchmark.plan import (
    SimulatePlan,
    check_encodings,
    check_unique,
    given_priors,
    images_of,
    simulated_from,
)
from cryoprior.errors import InputError
from cryoprior.operators import parse_operator
from cryoprior.prior.checkpoint import EMBEDDED
from cryoprior.reconstruction.choice import suited_prior
from cryoprior.solvers import Solver, parse_solver

MOST_WORK = 100_000
"""Cells by methods by seeds of one plan."""


@dataclass(frozen=True)
class ImageMethod:
    """One way to reconstruct.

    samples: how many samples of independent seeds are averaged; their average counts as a mean.
    particles: how many are reconstructed, the first ones.
    cells, masks: only in these cells, and only in cells of these masks (``K=16``, ``ring``); all where none is named.
    prior: in place of the plan's.
    ours: it is compared with every other method of its kind, mean or sample, in the cells that both have.
    guess: its sample is an optimum, not a draw; it is also compared with means that are ours.
    """

    name: str
    solver: str
    samples: int = 1
    particles: int | None = None
    cells: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    prior: str | None = None
    ours: bool = False
    guess: bool = False

    @cached_property
    def component(self) -> Solver:
        """The solver that the text names."""
        return parse_solver(self.solver)

    def has(self, cell: ImageCell) -> bool:
        """Return whether the method is wanted in a cell."""
        return (not self.cells or cell.name in self.cells) and (not self.masks or cell.mask in self.masks)

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
    particles: how many are used, the first ones. box, resize: as in ``cryoprior measure``.
    prior: the embedded one that suits each solver (default), or the folder of one.
    sigma: standard deviation of the noise added to each number. spectrum, dtype: as in ``cryoprior reconstruct``.
    scores: of each image against the recorded one. lpips: auto, off or fetch, as in ``cryoprior evaluate``.
    named: cells whose images are shown. headline: methods shown in the paper's own arrangement.
    published: CSV with mask, compression, lpips and ssim of the paper. grid: its cells.
    against: methods that ours are compared with although they are of another kind.
    unmeasured: report the power and the coverage of samples where nothing was measured.
    encodings: formats in which whole images are stored too, as text.
    fewer_particles: add a control that spends the cell's numbers on whole images of fewer particles, the others blank.
    """

    title: str
    methods: tuple[ImageMethod, ...]
    pixel: tuple[PixelGrid, ...] = ()
    fourier: tuple[FourierGrid, ...] = ()
    cells: tuple[FreeCell, ...] = ()
    grid: PublishedGrid | None = None
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
    scores: tuple[str, ...] = ("psnr", "ssim", "lpips")
    lpips: str = "auto"
    named: tuple[str, ...] = ()
    headline: tuple[str, ...] = ()
    published: str | None = None
    against: tuple[str, ...] = ()
    unmeasured: bool = False
    fewer_particles: bool = False
    encodings: tuple[str, ...] = ()
    downstream: tuple[DownstreamPlan, ...] = ()
    seeds: tuple[int, ...] = (0,)
    folder: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        self._check_particles()
        self._check_cells()
        self._check_methods()
        check_encodings(self.encodings)
        for key, choices in CHOICES.items():
            if getattr(self, key) not in choices:
                raise InputError(f"bench: {key} = {getattr(self, key)!r}; expected one of {', '.join(choices)}")
        _check_known("scores", self.scores, set(image_scores()))
        _check_least("sigma", self.sigma, 0)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise InputError(f"bench: seeds {list(self.seeds)}; expected at least one, each once")

    def _check_particles(self) -> None:
        if (self.simulate is None) == (self.star is None):
            raise InputError("bench: expected either [simulate] or star = ..., the particles to use; give one of them")
        if self.clean is not None and self.star is None:
            raise InputError("bench: clean = ... belongs to star = ...; simulated particles have their own")
        _check_least("particles", self.particles, 1)
        _check_least("box", self.box, 2)

    def _check_cells(self) -> None:
        if self.grid is not None and self.published is None:
            raise InputError("bench: [grid] without published = ..., the figures whose cells it has; add it")
        if not self.all_cells:
            raise InputError("bench: no cell; add [grid], [[pixel]], [[fourier]] or [[cells]]")
        work = len(self.all_cells) * max(1, len(self.methods)) * max(1, len(self.seeds))
        if work > MOST_WORK:
            raise InputError(
                f"bench: {work} reconstructions of cells; expected at most {MOST_WORK}; take fewer of them"
            )
        check_unique("cells", [cell.name for cell in self.all_cells])
        box = self.box or (self.simulate.box if self.simulate else None)
        for cell in self.all_cells if box else ():  # the box of a stack is known when it is opened
            parse_operator(cell.operator, box=box)
        _check_known("named", self.named, {cell.name for cell in self.all_cells})

    def _check_methods(self) -> None:
        if not self.methods:
            raise InputError("bench: no method; add [[methods]]")
        names = [method.name for method in self.methods]
        check_unique("methods", names)
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
            _check_known(f"{method.name}: masks", method.masks, {cell.mask for cell in self.all_cells})
        _check_known("headline", self.headline, set(names))
        _check_known("against", self.against, set(names))

    @cached_property
    def all_cells(self) -> tuple[ImageCell, ...]:
        """Every cell of all grids."""
        grids: tuple[PixelGrid | FourierGrid | FreeCell, ...] = (*self.pixel, *self.fourier, *self.cells)
        of_paper = [] if self.grid is None or self.figures is None else self.grid.cells(self.figures)
        return (*of_paper, *(cell for grid in grids for cell in grid.cells()))

    @cached_property
    def figures(self) -> pd.DataFrame | None:
        """The published figures, one row for each mask and compression."""
        return None if self.published is None else read_published(self.path(self.published))

    @property
    def seed(self) -> int:
        """The first seed, whose images are shown."""
        return self.seeds[0]

    def prior_of(self, method: ImageMethod) -> str:
        """Return the name or the folder of a method's prior."""
        named = method.prior or self.prior
        return suited_prior(named, method.component) if named in EMBEDDED else str(self.path(named))

    def reads(self) -> list[Path]:
        """Return all files and folders that the benchmark reads."""
        stacks = [self.path(text) for text in (self.star, self.clean) if text is not None]
        folders = [text for row in self.downstream for text in (row.heterogeneity, row.model)]
        priors = given_priors([self.prior, *(method.prior or self.prior for method in self.methods)])
        paths = [self.path(text) for text in (self.published, *folders, *priors) if text is not None]
        return [*stacks, *images_of(stacks), *paths, *simulated_from([self.simulate], self.folder)]

    def path(self, text: str) -> Path:
        """Return a path that the plan names, joined to the plan's folder unless it is absolute."""
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
