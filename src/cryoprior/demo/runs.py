"""The runs of the demo: every method on every operator, through the commands themselves."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from cryoprior.demo.particles import BOX
from cryoprior.demo.results import Result
from cryoprior.errors import InputError
from cryoprior.evaluation import command as evaluate
from cryoprior.maps import command as maps
from cryoprior.measurement import command as measure
from cryoprior.prior import load_prior, prior_folder, read_config
from cryoprior.reconstruction import command as reconstruct
from cryoprior.reconstruction.choice import suited_prior
from cryoprior.solvers import parse_solver

FEW, PICTURES = 3, 3
"""Particles for the paper's sampler, which takes 1000 evaluations an image, and in the pictures, which show its own."""
PAPER, SIGNAL = "nesterov", "signal"
PASSES = 2
"""Passes of the map: enough for a look."""

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class Method:
    """A solver as ``reconstruct`` takes it."""

    name: str
    title: str
    solver: str


@dataclass(frozen=True)
class Demo:
    """What is measured of the simulated particles, and what reconstructs them.

    folder, simulated: where results go, and where the particles lie.
    steps, nesterov_steps: network evaluations of exact, and of the paper's sampler.
    """

    folder: Path
    simulated: Path
    n: int = 32
    prior: str = "default"
    steps: int = 25
    nesterov_steps: int = 1000
    seed: int = 0
    device: str = "auto"
    threads: int | None = None

    @property
    def few(self) -> int:
        """Return how many particles the paper's sampler reconstructs."""
        return min(FEW, self.n)

    def operators(self) -> dict[str, tuple[str, str]]:
        """Return name to title and text of what is measured; every particle has masks of its own, up to 64 sets."""
        sets = f"sets={min(self.n, 64)},seed={self.seed}"
        return {
            "pixel": ("Sums of pixels", f"pixel:block=16,masks=192,rows=hadamard,{sets}"),
            "fourier": ("Fourier coefficients", f"fourier:pattern=uniform,compression=2,symmetry=hermitian,{sets}"),
        }

    def methods(self, operator: str) -> list[Method]:
        """Return what reconstructs the measurements of an operator, in the order of the pictures."""
        paper = [Method(PAPER, "paper's sampler", f"nesterov:steps={self.nesterov_steps}")]
        return [
            Method("least-squares", "least squares", "least-squares"),
            Method("gaussian", "Gaussian prior", "gaussian"),
            *(paper if operator == "pixel" else []),
            Method("sample", "exact sample", f"exact:estimate=sample,steps={self.steps}"),
            Method("mean", "exact mean", f"exact:estimate=mean,steps={self.steps}"),
            *(self._of_aware() if self.prior_knows_operators else []),
        ]

    @staticmethod
    def _of_aware() -> list[Method]:
        return [
            Method("posterior", "posterior mean", "posterior"),
            Method(SIGNAL, "signal", "posterior:estimate=signal,samples=4"),
        ]

    @property
    def prior_knows_operators(self) -> bool:
        """Return whether the prior can be asked for a posterior mean directly."""
        name = suited_prior(self.prior, parse_solver("posterior"))
        return read_config(prior_folder(name)).operator_aware

    def results(self, operator: str) -> list[Result]:
        """Return what every method made of one operator: measured once, reconstructed, judged."""
        (self.folder / operator).mkdir(exist_ok=True)
        options = measure.Options(
            particles=self.simulated / "particles.star",
            output=self.folder / operator / "measurements.zarr",
            operator=self.operators()[operator][1],
            seed=self.seed,
            device=self.device,
            threads=self.threads,
            overwrite=True,
        )
        measure.run(options)
        return [self._result(options.output, method) for method in self.methods(operator)]

    def map(self) -> str:
        """Return what the map of the sums of pixels says of itself; it lies beside them with its report."""
        options = maps.Options(
            particles=self.folder / "pixel" / "measurements.zarr",
            output=self.folder / "map",
            truth=self.simulated.parent / "assembly.mrc",
            passes=PASSES,
            device=self.device,
            threads=self.threads,
            overwrite=True,
        )
        return str(maps.run(options)["says"])

    def _result(self, measurements: Path, method: Method) -> Result:
        folder, is_slow = measurements.with_name(method.name), method.name == PAPER
        limit = self.few if is_slow else self.n
        log.info("reconstruct: %s masks, %d particles, %s", folder.parent.name, limit, method.solver)
        job = reconstruct.Options(
            measurements=measurements,
            output=folder,
            prior=self.prior,
            solver=method.solver,
            contrast="bright",
            batch=2 if is_slow else 8,
            limit=limit,
            device=self.device,
            threads=self.threads,
            seed=self.seed,
            check=method.name == SIGNAL,
            overwrite=True,
        )
        reconstructed = reconstruct.run(job)
        judged = evaluate.Options(
            reconstruction=folder,
            reference=self.simulated / "particles.star",
            clean=self.simulated / "clean.star",
            output=folder.with_name(f"{method.name}-report"),
            lpips="off",
            pictures=PICTURES,
            seed=self.seed,
            overwrite=True,
        )
        return Result(method.name, method.title, folder, judged.output, reconstructed, evaluate.run(judged))


def check_prior(name: str) -> None:
    """Raise InputError before anything is written, where the prior is missing or knows other boxes only."""
    try:
        boxes = load_prior(name).boxes
    except InputError as error:
        which = "the embedded prior cannot be read; " if name == "default" else ""
        raise InputError(
            f"<prior> {name}: {which}{error.message}; or pass <prior> with the folder of another"
        ) from None
    if boxes and BOX not in boxes:
        known = ", ".join(map(str, boxes))
        raise InputError(
            f"<prior> {name}: it knows boxes of {known}; the demo has boxes of {BOX}; pass another <prior>"
        )
