"""The cost of a solver's own work (everything but the network) by solver, K and box.

Every solver of the comparison runs on measurements without noise, with a stand-in for the network that multiplies an
image by one number; what the stand-in costs is metered and taken off. What is left is CPU time of conditioning,
operators and random numbers. The network's own cost is measured beside it.

    python -m benchmarks.cost.own_work [--boxes 64 128 256] [--rounds 3] [--images 8] [--prior FOLDER]
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any

import numpy as np
import torch
from benchmarks.kit.table import command, machine, markdown, parser, prior_digest, progress, versions, write, write_csv
from torch import Tensor

from cryoprior.benchmark.images.cells import FourierGrid, ImageCell, PixelGrid
from cryoprior.image import shell_index
from cryoprior.operators import Operator, parse_operator
from cryoprior.prior import GaussianPrior, Prior, load_prior
from cryoprior.prior.denoiser import MeteredDenoiser
from cryoprior.prior.signal import SignalDenoiser, Spectra
from cryoprior.random import ParticleNoise
from cryoprior.solvers import DmPlug, Solver, parse_solver

SCRIPT = "cost.own_work"
GRIDS = (
    *(PixelGrid(k, (c,)) for k, c in ((2, 2), (4, 2.7), (8, 2.6), (16, 2.5), (32, 2.5))),
    FourierGrid("uniform", (2.5,)),
)
CELLS = {cell.name: cell for grid in GRIDS for cell in grid.cells()}
LARGE, LARGE_IMAGES = 256, 4


@dataclass(frozen=True)
class Entry:
    """A solver at its published settings, and with what it is shortened; nothing where it runs whole."""

    name: str
    text: str
    shorter: dict[str, int] = field(default_factory=dict)

    def solvers(self) -> tuple[Solver, Solver, float]:
        """Return the solver, the shorter one, and how many times the shorter one makes the solver."""
        full = parse_solver(self.text)
        short: Solver = dataclasses.replace(full, **self.shorter)  # type: ignore[type-var]
        return full, short, next((getattr(full, name) / value for name, value in self.shorter.items()), 1.0)


ENTRIES = (
    Entry("least-squares", "least-squares"),
    Entry("gaussian", "gaussian"),
    Entry("total-variation", "total-variation", {"iterations": 50}),
    Entry("wavelet", "wavelet", {"iterations": 50}),
    Entry("dct", "dct", {"iterations": 50}),
    Entry("exact mean", "exact"),
    Entry("exact sample", "exact:estimate=sample"),
    Entry("posterior mean", "posterior"),
    Entry("posterior sample", "posterior:estimate=sample"),
    Entry("ddrm", "ddrm"),
    Entry("ddnm", "ddnm", {"steps": 20}),
    Entry("diffpir", "diffpir", {"steps": 20}),
    Entry("pigdm", "pigdm", {"steps": 20}),
    Entry("nesterov", "nesterov", {"steps": 20}),
    Entry("dps", "dps", {"steps": 20}),
    Entry("dmplug", "dmplug", {"iterations": 10}),
)


class StandIn(GaussianPrior):
    """A prior with the spectra of another, whose every answer is the question times a number by noise level."""

    def __init__(self, signal: Tensor, noise: Tensor) -> None:
        super().__init__(signal + noise)
        self.signal, self.noise = signal, noise

    def __call__(self, x: Tensor, tau: Tensor) -> Tensor:
        """Return v / (v + tau^2) x, v = 1 the variance of a pixel."""
        return x / (1 + tau[:, None, None] ** 2)

    def components(self, box: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the power of signal and noise, so that ``posterior`` conditions both."""
        return self.signal.to(like), self.noise.to(like)

    def with_power_factor(self, box: int, factor: Tensor) -> StandIn:
        """Return the same with both powers multiplied shell by shell."""
        by_frequency = factor.to(self.power)[shell_index(box, factor.device)]
        return StandIn(self.signal * by_frequency, self.noise * by_frequency)


class CpuMeter(MeteredDenoiser):
    """Calls of a denoiser, forward and backward, and their CPU seconds."""

    @staticmethod
    def _now(x: Tensor) -> float:
        return time.process_time()


@dataclass(frozen=True)
class Bench:
    """One box with all that is measured in it; the parts are made when a result needs them."""

    prior: Prior
    box: int
    images: int
    rounds: int

    @cached_property
    def spectra(self) -> Spectra:
        """Return the prior's spectra; for a box unknown to it those of the next, or its largest, by cycles a pixel."""
        return spectra_for(self.prior, self.box)

    @cached_property
    def stand_in(self) -> StandIn:
        """Return the stand-in for the network."""
        return StandIn(*self.spectra.grids(self.box, torch.empty(0)))

    def white(self, stage: str) -> Tensor:
        """Return images of standard normal noise, one batch."""
        return ParticleNoise(0, stage, range(self.images)).normal_like(torch.empty(self.images, self.box, self.box))

    def network(self) -> dict[str, Any]:
        """Return CPU ms an image of a forward evaluation of the network in every round, after one to warm up."""
        asked = SignalDenoiser(self.prior.denoiser.network, {self.box: self.spectra})  # type: ignore[attr-defined]
        meter = CpuMeter(asked)
        x, tau, rounds = self.white("images"), torch.ones(self.images), []
        with torch.no_grad():
            for _ in range(1 + self.rounds):
                before = meter.seconds
                meter(x, tau)
                rounds.append(meter.seconds - before)
        return {"ms": [1e3 * seconds / self.images for seconds in rounds[1:]]}

    def system(self, cell: ImageCell) -> dict[str, Any]:
        """Return CPU seconds to draw an operator and build its singular system, once, and the bytes that it takes."""
        start = time.process_time()
        operator = parse_operator(cell.operator, box=self.box)
        held = operator.set_bytes
        return {"seconds": time.process_time() - start, "bytes": held, "m": operator.m, "rank": operator.rank}

    def measured(self, cell: ImageCell) -> tuple[Operator, Tensor]:
        """Return an operator whose system is built, and images of the prior's power measured with it."""
        operator = parse_operator(cell.operator, box=self.box)
        return operator, operator.forward(self.stand_in.draw(self.white("images")), range(self.images))

    def own(self, entry: Entry, operator: Operator, y: Tensor) -> dict[str, Any]:
        """Return CPU ms an image of own work, of every round, for the whole solve and for each of what it repeats."""
        full, short, times = entry.solvers()
        rounds, meter = [], CpuMeter(self.stand_in)
        with torch.no_grad():
            for _ in range(self.rounds):
                meter, start = CpuMeter(self.stand_in), time.process_time()
                noise = ParticleNoise(0, "own work", range(self.images))
                short.solve(y, operator, meter, 0.0, noise)
                rounds.append(1e3 * (time.process_time() - start - meter.seconds) / self.images)
        evaluations, solves = round(meter.calls * times), [ms * times for ms in rounds]
        if isinstance(full, DmPlug):
            evaluations = full.steps * (full.iterations + 1)  # the last chain, which makes the image, runs once
        repeats = evaluations or int(getattr(full, "iterations", 0))
        return {
            "ms": solves,
            "ms each": [ms / repeats for ms in solves] if repeats else None,
            "repeats": repeats,
            "repeats run": meter.calls or int(getattr(short, "iterations", 0)),
            "evaluations": evaluations,
            "backward": round(meter.backward_calls * times),
        }


def spectra_for(prior: Prior, box: int) -> Spectra:
    """Return the power of signal and noise by shell for any box, interpolated from the nearest that the prior knows."""
    known = prior.config.spectra
    if box in known:
        return known[box]
    nearest = min(known, key=lambda other: (abs(other - box), -other))
    shells = np.arange(int(shell_index(box).max()) + 1) / box

    def stretched(curve: Sequence[float]) -> tuple[float, ...]:
        return tuple(np.interp(shells, np.arange(len(curve)) / nearest, curve).tolist())

    return Spectra(stretched(known[nearest].signal), stretched(known[nearest].noise))


def results(bench: Bench, cells: Sequence[ImageCell]) -> list[dict[str, Any]]:
    """Return one line for every operator and solver of a box."""
    lines, network = [], median(bench.network()["ms"])
    for cell in cells:
        system = bench.system(cell)
        operator, y = bench.measured(cell)
        for entry in ENTRIES:
            cost = bench.own(entry, operator, y)
            progress(f"{bench.box} {cell.name} {entry.name}")
            lines.append({"box": bench.box, "cell": cell.name} | line_of(entry, cost, network, system, bench.images))
    return lines


def line_of(entry: Entry, cost: dict[str, Any], network: float, system: dict[str, Any], images: int) -> dict[str, Any]:
    """Return the numbers of one solver: medians over the rounds, beside the network and the operator's system."""
    solve = median(cost["ms"])
    return {
        "solver": entry.name,
        "text": entry.text,
        **{key: cost[key] for key in ("evaluations", "backward", "repeats", "repeats run")},
        "own ms each": median(cost["ms each"]) if cost["ms each"] else None,
        "own ms a solve": solve,
        "network ms an evaluation": network,
        "own share": solve / (solve + cost["evaluations"] * network) if cost["evaluations"] else None,
        "build s": system["seconds"],
        "system bytes": system["bytes"],
        "images": images,
    }


def grid(lines: Sequence[dict[str, Any]], beside: dict[str, str], show: Callable[[dict[str, Any]], str | None]) -> str:
    """Return a table with a row for each solver, a column for each operator, and further columns of the solver's."""
    cells = list(dict.fromkeys(line["cell"] for line in lines))
    by_place = {(line["solver"], line["cell"]): line for line in lines}
    rows = []
    for name in dict.fromkeys(line["solver"] for line in lines):
        first = by_place[name, cells[0]]
        rows.append([name, *(show(by_place[name, cell]) for cell in cells), *(shown(first[key]) for key in beside)])
    return markdown(("solver", *cells, *beside.values()), rows)


def section(lines: Sequence[dict[str, Any]]) -> str:
    """Return the table of one box: the share of own work, own / (own + forward evaluations x network)."""
    first = lines[0]
    cost = {"evaluations": "forward evaluations", "network ms an evaluation": "network, ms an evaluation"}
    with_network = [line for line in lines if line["evaluations"]]
    heading = f"## {first['box']} pixels, batches of {first['images']}: share of own work"
    return f"{heading}\n\n{grid(with_network, cost, percent)}\n"


def percent(line: dict[str, Any]) -> str:
    """Return the share of own work of one line."""
    return f"{100 * line['own share']:.1f} %"


def shown(value: float | None) -> str | None:
    """Return a number as a table shows it, three digits where it is small."""
    if value is None or isinstance(value, int):
        return None if value is None else str(value)
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    prior, cells = load_prior(options.prior), [CELLS[name] for name in options.cells]
    text, lines = f"# Own work of the solvers\n\n{HEAD}\n", []
    for box in options.boxes:
        images = min(options.images, LARGE_IMAGES if box >= LARGE else options.images)
        of_box = results(Bench(prior, box, images, options.rounds), cells)
        lines += of_box
        text += section(of_box)
    write_csv(options.out / "own_work" / "solvers.csv", lines)
    made_by = command(SCRIPT, list(sys.argv[1:] if arguments is None else arguments))
    facts = f"{machine()}. Prior: sha256 {prior_digest(prior)}. {versions()}."
    write(options.out / "own_work.md", f"{text}All numbers: own_work/solvers.csv. {facts}\n\n    {made_by}\n")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    asked = parser(__doc__, "own_work")
    asked.add_argument("--prior", default="default", help="the embedded prior (default), or the folder of one")
    asked.add_argument("--boxes", type=int, nargs="+", default=[64, 128, LARGE])
    asked.add_argument("--rounds", type=int, default=3, help="of which the median is taken")
    asked.add_argument("--images", type=int, default=8, help=f"of a batch; at most {LARGE_IMAGES} from {LARGE} pixels")
    asked.add_argument("--cells", nargs="+", default=list(CELLS), choices=list(CELLS))
    return asked.parse_args(arguments)


HEAD = """Times are CPU seconds of one thread (`process_time`), taken beside other work on the same cores, which shares
their caches; medians of the rounds. Own work is all of a solve but the network: conditioning, operators, random
numbers, Adam. The network is replaced by a stand-in that multiplies its image by one number and whose own CPU time is
taken off, forward and backward. Images are Gaussian with the spectrum of the prior, y = A x without noise. Reading,
calibration and the check of the residual, once a data set or image, are left out.

Settings are the published ones, which are the defaults. `exact`, `posterior`, `ddrm`, `gaussian` and `least-squares`
run whole. `ddnm`, `diffpir`, `pigdm`, `nesterov` and `dps` run 20 evaluations, `dmplug` 10 iterations,
`total-variation`, `wavelet` and `dct` 50 iterations, and their whole solve is extrapolated: time x published number /
number run. What happens once a solve is thereby counted as often as the shorter one fits in: these are upper bounds.
Conjugate gradients take as many iterations with the stand-in as with the network (64 pixels, `exact`: within 2 %).

Network: one forward evaluation of the denoiser, its filters included, in batches of the same size and in the same run.
Where a box is not among those it was trained for, the same network is timed on noise of that box, and the spectra of
the nearest box are stretched. Shares count forward evaluations alone: with backward ones, and for `posterior`, whose
network has one more input, they are smaller still.
"""

if __name__ == "__main__":
    main()
