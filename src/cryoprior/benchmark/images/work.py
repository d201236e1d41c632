"""The images of a benchmark of images: particles, their measurements cell by cell, and every method's images."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.benchmark.images.cells import ImageCell
from cryoprior.benchmark.images.memory import peak_megabytes
from cryoprior.benchmark.images.method_images import COSTS, MethodImages
from cryoprior.benchmark.images.plan import ImageMethod, ImagesPlan
from cryoprior.benchmark.images.units import Unit, kept
from cryoprior.benchmark.maps.images import simulate_values
from cryoprior.benchmark.steps import run_step, slug
from cryoprior.errors import InputError
from cryoprior.io import ParticleStack, read_particles
from cryoprior.io.rows import row_batches
from cryoprior.measurement.measuring import fitted_to
from cryoprior.measurement.reading import ArrayRows, read_varied
from cryoprior.operators import Operator, parse_operator, rounded
from cryoprior.operators.rounding import rounding_sigma
from cryoprior.output.files import write_whole
from cryoprior.output.record import file_digest
from cryoprior.output.stored_json import read_json
from cryoprior.prior import Prior, load_prior
from cryoprior.prior.calibration import Calibration
from cryoprior.random import ParticleNoise
from cryoprior.reconstruction.reconstructor import Reconstructor, fit_prior, make_reconstructor
from cryoprior.solvers import SOLVERS
from cryoprior.spec import format_spec

MEMORY_BATCH = 8
"""Particles solved together when memory is measured, whatever the batch of a run is."""


@dataclass(frozen=True)
class ImageWork:
    """What a benchmark computes, in its folder.

    batch, threads, device: how it computes; they change no image.
    """

    plan: ImagesPlan
    folder: Path
    batch: int = 32
    threads: int | None = None
    device: str = "cpu"

    @cached_property
    def stacks(self) -> tuple[ParticleStack, ParticleStack | None]:
        """The particles and, where they are known, their clean images."""
        plan = self.plan
        if plan.simulate is not None:
            run_step("simulate", self.folder / "particles", **simulate_values(plan, plan.simulate))
            paths = [self.folder / "particles" / f"{name}.star" for name in ("particles", "clean")]
        else:
            paths = [plan.path(text) for text in (plan.star, plan.clean) if text is not None]
        stacks = [read_particles(path) for path in paths]
        _check_alike(stacks)
        stacks = [stack.in_order_of(stacks[0].identified) for stack in stacks]
        chosen = [stack.subset(slice(plan.particles)) for stack in stacks]
        resized = [stack.resized(plan.box, plan.resize) if plan.box else stack for stack in chosen]
        return resized[0], resized[1] if len(resized) > 1 else None

    @cached_property
    def original(self) -> Float[Tensor, "n box box"]:
        """The particles' images."""
        stack = self.stacks[0]
        return read_varied(stack, np.arange(stack.n))

    @cached_property
    def clean(self) -> Float[Tensor, "n box box"] | None:
        """Their clean images."""
        stack = self.stacks[1]
        return None if stack is None else torch.from_numpy(np.array(stack.read(slice(None)), dtype=np.float32))

    def cells(self) -> Iterator[CellWork]:
        """Yield the cells one after another: each holds its measurements and its fitted priors."""
        for cell in self.plan.all_cells:
            yield CellWork(self, cell)

    @cached_property
    def priors(self) -> dict[str, tuple[Prior, str]]:
        """The priors of the plan by name, each with its digest."""
        wanted = {self.plan.prior_of(m) for m in self.plan.methods if m.component.needs_prior}
        loaded = {name: load_prior(name, torch.device(self.device)) for name in sorted(wanted)}
        box = self.stacks[0].box
        for name, prior in loaded.items():
            if prior.boxes and box not in prior.boxes:
                boxes = ", ".join(map(str, prior.boxes))
                raise InputError(f"bench: images of box {box}; prior {name!r} knows {boxes}; give box = one of these")
        return {name: (prior, file_digest(prior.path / "model.safetensors")) for name, prior in loaded.items()}


@dataclass(frozen=True)
class CellWork:
    """One cell: its operator, what was measured, and the images that methods make of it."""

    work: ImageWork
    cell: ImageCell

    @cached_property
    def operator(self) -> Operator:
        """The operator of the cell."""
        operator = parse_operator(self.cell.operator, box=self.work.stacks[0].box)
        return fitted_to(self.work.original, operator, self.work.plan.sigma, 0, self.particles)

    @cached_property
    def sigma(self) -> float:
        """The deviation of all noise on the measurements: the plan's, and that of rounding."""
        return math.hypot(self.work.plan.sigma, rounding_sigma(self.operator))

    @cached_property
    def particles(self) -> list[int]:
        """The numbers of the particles in their stack, which choose masks and random streams."""
        return [int(i) for i in self.work.stacks[0].index]

    @cached_property
    def y(self) -> Float[Tensor, "n m"]:
        """The measurements, with the plan's noise."""
        images = self.work.original
        parts = [
            self.operator.forward(images[rows], self.particles[rows]) for rows in _slices(len(images), self.work.batch)
        ]
        y = torch.cat(parts)
        if self.work.plan.sigma > 0:
            y = y + self.work.plan.sigma * ParticleNoise(0, "bench/measure", self.particles).normal_like(y)
        return rounded(self.operator, y, self.particles).to(self.work.device)

    @cached_property
    def least_squares(self) -> Float[Tensor, "n box box"]:
        """The least-squares images, on the CPU."""
        y = self.y.cpu()
        parts = [self.operator.pinv(y[rows], self.particles[rows]) for rows in _slices(len(y), self.work.batch)]
        return torch.cat(parts)

    @cached_property
    def _calibrated(self) -> dict[str, Calibration]:
        return {}

    def calibration(self, name: str) -> Calibration:
        """Return a prior fitted to these measurements, as ``cryoprior reconstruct`` fits it."""
        if name not in self._calibrated:
            plan, measured = self.work.plan, ArrayRows(self.y, self.particles)
            prior, _ = self.work.priors[name]
            self._calibrated[name] = fit_prior(
                prior, measured, self.operator, self.sigma, spectrum=plan.spectrum, contrast=plan.contrast
            )
        return self._calibrated[name]

    def reconstructor(self, method: ImageMethod, seed: int, sample: int = 0) -> Reconstructor:
        """Return a method with all that it needs; the first sample is that of ``reconstruct`` with the same seed."""
        fitted = None
        if method.component.needs_prior:
            fitted = self.calibration(self.work.plan.prior_of(method))
        stage, plan = "reconstruct" if sample == 0 else f"reconstruct/sample{sample}", self.work.plan
        return make_reconstructor(
            method.component, self.operator, fitted, self.sigma, seed=seed, stage=stage, dtype=plan.dtype
        )

    def wanted(self) -> list[ImageMethod]:
        """Return the methods of the plan that this cell has."""
        return [method for method in self.work.plan.methods if method.has(self.cell)]

    def images(self, method: ImageMethod, seed: int) -> MethodImages:
        """Return a method's images with one seed, averaged over its samples."""
        samples = self.samples(method, seed)
        total = {name: sum(getattr(s, name) for s in samples) for name in COSTS}
        x = samples[0].x if len(samples) == 1 else torch.stack([s.x.double() for s in samples]).mean(0).float()
        residual = samples[0].residual if len(samples) == 1 else self._residual(x)
        return MethodImages(x, residual, **total)

    def samples(self, method: ImageMethod, seed: int) -> list[MethodImages]:
        """Return each of a method's samples with one seed; one where it averages none."""
        n = min(method.particles or len(self.y), len(self.y))
        return [self._sample(method, seed, sample, n) for sample in range(method.samples)]

    def memory(self, method: ImageMethod) -> float:
        """Return the peak memory of a method in MiB; see memory.py."""
        path = self._folder(method) / "memory.json"
        if not path.is_file():
            n = min(MEMORY_BATCH, len(self.y))
            peak = peak_megabytes(self.reconstructor(method, 0), self.y[:n], self.particles[:n])
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps({"peak_mib": peak, "particles": n}) + "\n")
        known = read_json(path, "the memory that a method takes", "delete it", {"peak_mib": int | float})
        return float(known["peak_mib"])

    def _sample(self, method: ImageMethod, seed: int, sample: int, n: int) -> MethodImages:
        units = [self._unit(method, seed, sample, rows) for rows in _slices(n, self.work.batch)]
        weights = np.array([len(unit.x) for unit in units]) / n
        mean = {name: float(weights @ [getattr(u, name) for u in units]) for name in ("evaluations", "backward")}
        spent = {name: sum(getattr(u, name) for u in units) / n for name in ("seconds", "seconds_network")}
        x, residual = (torch.from_numpy(np.concatenate([getattr(u, k) for u in units])) for k in ("x", "residual"))
        return MethodImages(x, residual, **mean, **spent)

    def _unit(self, method: ImageMethod, seed: int, sample: int, rows: slice) -> Unit:
        name = f"seed{seed}-sample{sample}-{rows.start:06d}-{rows.stop:06d}.npz"
        return kept(
            self._folder(method) / name, self._identity(method), lambda: self._reconstructed(method, seed, sample, rows)
        )

    def _reconstructed(self, method: ImageMethod, seed: int, sample: int, rows: slice) -> Unit:
        reconstructor = self.reconstructor(method, seed, sample)
        start = time.perf_counter()
        made = reconstructor.reconstruct(self.y[rows], self.particles[rows])
        x = made.solution.x.cpu().float().numpy()
        if not np.isfinite(x).all():
            raise InputError(
                f"bench: {self.cell.name}: images by {method.name} are not finite; expected numbers; give its solver "
                "smaller steps, or leave it out"
            )
        return Unit(
            x,
            made.residual.cpu().double().numpy(),
            made.solution.evaluations,
            made.solution.backward,
            time.perf_counter() - start,
            made.seconds_network,
        )

    def _identity(self, method: ImageMethod) -> dict[str, Any]:
        plan, needs = self.work.plan, method.component.needs_prior
        return {
            "particles": self.work.stacks[0].digest(),
            "index": _digest(self.particles),
            "operator": self._operator_digest,
            "solver": format_spec(method.component, SOLVERS),
            "prior": self.work.priors[self.work.plan.prior_of(method)][1] if needs else None,
            "settings": [plan.box, plan.resize, plan.sigma, plan.spectrum, plan.contrast, plan.dtype],
        }

    @cached_property
    def _operator_digest(self) -> str:
        return self.operator.digest()

    def _residual(self, x: Float[Tensor, "n box box"]) -> Float[Tensor, " n"]:
        y = self.y[: len(x)].cpu()
        misfit = (self.operator.forward(x, self.particles[: len(x)]) - y).norm(dim=1)
        relative: Tensor = misfit / y.norm(dim=1).clamp_min(torch.finfo(y.dtype).tiny)
        return relative.double()

    def _folder(self, method: ImageMethod) -> Path:
        prior = slug(Path(self.work.plan.prior_of(method)).name) if method.component.needs_prior else "no-prior"
        return self.work.folder / "units" / slug(self.cell.name) / f"{slug(method.solver)}--{prior}"


def _check_alike(stacks: list[ParticleStack]) -> None:
    """Raise InputError where clean images are of other particles or another box."""
    first = stacks[0]
    for stack in stacks[1:]:
        if (stack.n, stack.box) != (first.n, first.box):
            raise InputError(
                f"{stack.path}: {stack.n} images of box {stack.box}; expected {first.n} of {first.box}, row by row "
                f"those of {first.path}"
            )


def _slices(n: int, size: int) -> list[slice]:
    return [slice(rows.start, rows.stop) for rows in row_batches(n, size)]


def _digest(numbers: list[int]) -> str:
    return hashlib.sha256(np.asarray(numbers, np.int64).tobytes()).hexdigest()
