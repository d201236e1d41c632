"""The images of a benchmark: particles, their measurements cell by cell, reconstructions method by method."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.benchmark.images.plan import ImagesPlan
from cryoprior.benchmark.plan import LEAST_SQUARES, CellPlan, MapsPlan, MethodPlan, SimulatePlan
from cryoprior.benchmark.steps import run_step, slug
from cryoprior.io import ParticleStack, read_map, read_particles, write_map
from cryoprior.io.volumes import read_volume
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.sources import FullParticles
from cryoprior.maps.sums import MapSettings
from cryoprior.output.files import whole_file

BY_LEAST_SQUARES = MethodPlan(LEAST_SQUARES, "least-squares")


@dataclass(frozen=True)
class BenchImages:
    """The files of a benchmark in its folder, made when they are asked for and kept.

    batch, threads, device: how ``reconstruct`` and ``measure`` compute; they change no result.
    """

    plan: MapsPlan
    folder: Path
    batch: int = 32
    threads: int | None = None
    device: str = "cpu"

    @cached_property
    def particles(self) -> Path:
        """The star file of the full particles."""
        if self.plan.simulate is None:
            return self.plan.path(str(self.plan.star))
        run_step("simulate", self.folder / "particles", **simulate_values(self.plan, self.plan.simulate))
        return self.folder / "particles" / "particles.star"

    @cached_property
    def stack(self) -> ParticleStack:
        """The full particles."""
        return read_particles(self.particles)

    @cached_property
    def truth(self) -> Float[Tensor, "d d d"] | None:
        """The true map, or the mean of several simulated states over the particles; None where it is not known."""
        if self.plan.simulate is None:
            return None if self.plan.truth is None else self._given(self.plan.path(self.plan.truth))
        folder = self.particles.parent
        labels = pd.read_csv(folder / "labels.csv")
        shares = labels["name"].value_counts(normalize=True).sort_index()
        maps = [read_map(folder / "maps" / f"{name}.mrc")[0] for name in shares.index]
        mean = np.tensordot(shares.to_numpy(), np.stack(maps).astype(np.float64), axes=1)
        return torch.from_numpy(mean.astype(np.float32))

    def _given(self, truth: Path) -> Float[Tensor, "d d d"]:
        return torch.from_numpy(read_volume(truth, self.stack.box, float(self.stack.pixel_size[0])))

    def measurements(self, cell: CellPlan) -> Path:
        """Return the measurements of a cell."""
        path = self._cell(cell) / "measurements.zarr"
        run_step("measure", path, particles=self.particles, operator=cell.operator, seed=self.plan.seed)
        return path

    def reconstruction(self, cell: CellPlan, method: MethodPlan, particles: int | None = None) -> Path:
        """Return the star file of a cell reconstructed by a method, all particles or the first ``particles``."""
        limit = particles or method.particles
        output = self._cell(cell) / slug(method.name + (f" {limit}" if limit else ""))
        run_step(
            "reconstruct",
            output,
            measurements=self.measurements(cell),
            solver=method.solver,
            estimate=method.estimate,
            prior=method.prior,
            limit=limit,
            seed=self.plan.seed,
            batch=self.batch,
            threads=self.threads,
            device=self.device,
        )
        return output / "particles.star"

    @cached_property
    def reference(self) -> Path:
        """The map that poses are searched against: the truth, or the map of the full particles."""
        path = self.folder / "reference.mrc"
        if not path.is_file():
            volume = self.truth
            if volume is None:
                volume = solve_maps(FullParticles(self.stack), MapSettings()).full
            with whole_file(path) as partial:
                write_map(partial, volume.numpy(), float(self.stack.pixel_size[0]))
        return path

    def _cell(self, cell: CellPlan) -> Path:
        return self.folder / "cells" / slug(f"{cell.series} {cell.name}")


def simulate_values(plan: MapsPlan | ImagesPlan, wanted: SimulatePlan) -> dict[str, object]:
    """Return the options of ``simulate``; paths start at the folder of the plan."""
    values = dict(vars(wanted))
    values["structures"] = tuple(plan.path(path) for path in wanted.structures)
    for name in ("ctf", "noise_like"):
        values[name] = None if values[name] is None else plan.path(str(values[name]))
    return values
