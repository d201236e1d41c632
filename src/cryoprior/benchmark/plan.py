"""What a benchmark of maps asks for, and what all benchmarks share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryoprior.errors import InputError
from cryoprior.io import read_particles
from cryoprior.operators import parse_operator
from cryoprior.prior.checkpoint import EMBEDDED
from cryoprior.solvers import parse_solver
from cryoprior.storage import parse_encoding

LEAST_SQUARES = "least squares"
"""The method that a plan need not name."""


@dataclass(frozen=True)
class SimulatePlan:
    """What ``cryoprior simulate`` is asked for; see its options."""

    structures: tuple[str, ...]
    n: int
    box: int
    pixel_size: float
    snr: float
    keep_chains: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    b_factor: float = 80.0
    ctf: str | None = None
    noise_like: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class CellPlan:
    """One measurement: the operator, and the series (``pixel``, ``fourier``) whose line it belongs to."""

    name: str
    operator: str
    series: str


@dataclass(frozen=True)
class MethodPlan:
    """One way to reconstruct. particles: how many are reconstructed, the first ones; all where not given."""

    name: str
    solver: str
    estimate: str | None = None
    particles: int | None = None
    prior: str = "default"


@dataclass(frozen=True)
class PosesPlan:
    """Pose errors of the first ``particles`` in these cells, by these methods beside full particles.

    simulate: other particles for the poses, where those of the maps are too noisy for any program to find them.
    """

    particles: int
    cells: tuple[str, ...]
    methods: tuple[str, ...]
    lowpass: float = 15.0
    healpix_order: int = 2
    simulate: SimulatePlan | None = None


@dataclass(frozen=True)
class MapsPlan:
    """A table of maps: particles (simulated, or a stack with poses), cells, methods.

    star, truth: a stack with poses and, where it is known, its true map; in place of ``simulate``.
    passes: for maps of sums of pixels, as in ``cryoprior map``.
    prior_weights: weights of what was not measured; maps of reconstructions are made with each.
    pictured: cells whose maps are shown.
    encodings: formats in which whole particles are stored too, as text.
    """

    title: str
    cells: tuple[CellPlan, ...]
    methods: tuple[MethodPlan, ...]
    simulate: SimulatePlan | None = None
    star: str | None = None
    truth: str | None = None
    symmetry: str = "C1"
    passes: int = 8
    prior_weights: tuple[float, ...] = (1.0,)
    pictured: tuple[str, ...] = ()
    encodings: tuple[str, ...] = ()
    poses: PosesPlan | None = None
    seed: int = 0
    folder: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        if (self.simulate is None) == (self.star is None):
            raise InputError("bench: expected either [simulate] or star = ..., the particles to use; give one of them")
        check_unique("cells", [cell.name for cell in self.cells])
        check_unique("methods", [method.name for method in self.methods])
        check_encodings(self.encodings)
        for cell in self.cells if self.simulate is not None else ():  # the box of a stack is known when it is opened
            parse_operator(cell.operator, box=self.simulate.box if self.simulate else None)
        for method in self.methods:
            parse_solver(method.solver)
        known = {cell.name for cell in self.cells}
        asked = {*self.pictured, *(self.poses.cells if self.poses else ())}
        wanted = set(self.poses.methods if self.poses else ()) - {LEAST_SQUARES, *(m.name for m in self.methods)}
        if wanted:
            raise InputError(f"bench: poses by unknown methods {_list(wanted)}; name methods of the plan")
        if asked - known:
            raise InputError(f"bench: no cell named {', '.join(sorted(asked - known))}; the cells are {_list(known)}")
        if not all(0 <= weight <= 1 for weight in self.prior_weights):
            raise InputError(f"bench: prior_weights {self.prior_weights}; expected numbers from 0 to 1")

    def reads(self) -> list[Path]:
        """Return all files and folders that the benchmark reads."""
        named = [self.star, self.truth, *given_priors(method.prior for method in self.methods)]
        plans = (self.simulate, self.poses.simulate if self.poses else None)
        paths = [self.path(text) for text in named if text is not None]
        return [*paths, *images_of(paths[:1] if self.star else []), *simulated_from(plans, self.folder)]

    def path(self, text: str) -> Path:
        """Return a path that the plan names, joined to the plan's folder unless it is absolute."""
        return self.folder / text


def given_priors(names: Iterable[str]) -> list[str]:
    """Return the priors that are folders, each once."""
    return [name for name in dict.fromkeys(names) if name not in EMBEDDED]


def images_of(stacks: Iterable[Path]) -> list[Path]:
    """Return the files that the images of particles lie in."""
    return [file for path in stacks for file in read_particles(path).files]


def simulated_from(plans: Iterable[SimulatePlan | None], folder: Path) -> list[Path]:
    """Return the structures, CTFs and noise that particles are simulated from."""
    wanted = [plan for plan in plans if plan is not None]
    named = [text for plan in wanted for text in (*plan.structures, plan.ctf, plan.noise_like)]
    return [folder / text for text in named if text is not None]


def check_unique(what: str, names: Sequence[str]) -> None:
    """Raise InputError where two cells or methods have one name."""
    twice = {name for name, count in Counter(names).items() if count > 1}
    if twice:
        raise InputError(f"bench: {what} named {_list(twice)} more than once; give each a name of its own")


def check_encodings(texts: Sequence[str]) -> None:
    """Raise InputError for a text that names no encoding, or where one stands twice."""
    check_unique("encodings", texts)
    for text in texts:
        parse_encoding(text)


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))
