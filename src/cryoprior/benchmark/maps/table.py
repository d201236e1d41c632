"""The table of maps: full data, what was measured, every method and every control of equal size, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cryoprior.benchmark.maps.images import BY_LEAST_SQUARES, BenchImages
from cryoprior.benchmark.maps.page import FEWER, FULL, PRIOR_FREE, MapTable, Pictured
from cryoprior.benchmark.maps.poses import pose_table
from cryoprior.benchmark.maps.rows import MapRow, RowKey, RowMaker
from cryoprior.benchmark.plan import CellPlan, MapsPlan
from cryoprior.benchmark.steps import slug
from cryoprior.io import ParticleStack, read_particles, write_map
from cryoprior.io.volumes import read_mask
from cryoprior.maps.controls import equal_size_controls
from cryoprior.maps.encoded import EncodedParticles
from cryoprior.maps.judgement import map_mask
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.source import Source, Subset
from cryoprior.maps.sources import FullParticles, MeasuredParticles, ReconstructedParticles
from cryoprior.maps.sums import MapSettings
from cryoprior.measurement.reading import open_measurements
from cryoprior.metrics.local_resolution import local_resolution
from cryoprior.operators import parse_operator
from cryoprior.output.files import whole_file
from cryoprior.storage import parse_encoding


@dataclass(frozen=True)
class MapBench:
    """A table of maps in the making, in its folder."""

    plan: MapsPlan
    images: BenchImages
    folder: Path

    def rows(self) -> Iterator[MapRow]:
        """Yield all rows: for every number of particles that a method names, full data first, then cell by cell."""
        maker = self._maker()
        for particles in self._sizes():
            stack = self.images.stack.subset(slice(particles))
            yield maker.row(RowKey("", "", FULL, particles), f"maps/{particles}/full", FullParticles(stack))
            for text in self.plan.encodings:
                yield from self._stored(maker, text, stack)
            for cell in self.plan.cells:
                for method, source in self._sources(cell, particles):
                    key = self._key(cell, method, particles)
                    yield maker.row(
                        key, f"maps/{particles}/{slug(f'{cell.series} {cell.name}')}/{slug(method)}", source
                    )

    def table(self) -> MapTable:
        """Return all that the plan asks for, for the report."""
        rows = list(self.rows())
        return MapTable(
            title=self.plan.title,
            numbers=pd.DataFrame([row.flat() for row in rows]),
            curves=pd.concat([row.curves.assign(**_named(row.key)) for row in rows], ignore_index=True),
            poses=pose_table(self.images),
            pictured={name: self._pictured(name, rows) for name in self.plan.pictured},
            truth=None if self.images.truth is None else self.images.truth.numpy(),
            mask=self._mask(),
            voxel_size_angstrom=float(self.images.stack.pixel_size[0]),
        )

    def _maker(self) -> RowMaker:
        settings = MapSettings(
            self.plan.symmetry, passes=self.plan.passes, batch=self.images.batch, device=self.images.device
        )
        path, truth = self.folder / "mask.mrc", self.images.truth
        if not path.is_file():
            mask, _ = map_mask(solve_maps(FullParticles(self.images.stack), settings, "mask"))
            with whole_file(path) as partial:
                write_map(partial, mask.numpy(), float(self.images.stack.pixel_size[0]))
        return RowMaker(self.folder, settings, torch.from_numpy(self._mask()), truth, self.plan.seed)

    def _mask(self) -> np.ndarray:
        return read_mask(self.folder / "mask.mrc", self.images.stack.box, float(self.images.stack.pixel_size[0]))

    def _sizes(self) -> list[int]:
        asked = {method.particles or self.images.stack.n for method in self.plan.methods}
        return sorted({self.images.stack.n, *asked}, reverse=True)

    def _sources(self, cell: CellPlan, particles: int) -> Iterator[tuple[str, Source]]:
        """Yield the rows of a cell: the map of the measurements, controls, least squares, and every method."""
        stack = self.images.stack.subset(slice(particles))
        measured = self._measured(cell)
        yield PRIOR_FREE, _first(measured, particles)
        yield from equal_size_controls(stack, measured.operator.storage_compression)
        for method in (BY_LEAST_SQUARES, *self.plan.methods):
            if (method.particles or self.images.stack.n) < particles:
                continue
            star = read_particles(self.images.reconstruction(cell, method))
            for weight in self.plan.prior_weights if method is not BY_LEAST_SQUARES else (1.0,):
                name = method.name if weight == 1 else f"{method.name}, weight {weight:g}"
                yield name, _first(ReconstructedParticles(star, measured.sight, weight), particles)

    def _stored(self, maker: RowMaker, text: str, stack: ParticleStack) -> Iterator[MapRow]:
        """Yield the row of whole particles stored in a format, and that of as many as take the same bytes unstored."""
        whole, place = EncodedParticles(stack, parse_encoding(text)), f"maps/{stack.n}/{slug(f'storage {text}')}"
        size, full = whole.bytes_per_particle, 4 * stack.box**2
        few = FullParticles(stack.subset(slice(max(2, round(stack.n * size / full)))))
        for method, source in ((PRIOR_FREE, whole), (FEWER, few)):
            key = RowKey("storage", text, method, stack.n, full / size)
            yield maker.row(key, f"{place}/{slug(method)}", source, {"bytes_per_particle": size})

    def _measured(self, cell: CellPlan) -> MeasuredParticles:
        return MeasuredParticles(*open_measurements(self.images.measurements(cell)))

    def _key(self, cell: CellPlan, method: str, particles: int) -> RowKey:
        operator = parse_operator(cell.operator, box=self.images.stack.box)
        return RowKey(cell.series, cell.name, method, particles, operator.compression, cell.operator)

    def _pictured(self, cell: str, rows: list[MapRow]) -> dict[str, Pictured]:
        """Return full data and the maps of a cell, filtered by their FSC, at the largest number of particles."""
        particles, size = self._sizes()[0], float(self.images.stack.pixel_size[0])
        shown = [r for r in rows if r.key.particles == particles and r.key.cell in ("", cell)]
        return {row.key.method: _picture(row, size) for row in shown}


def run_maps(plan: MapsPlan, folder: Path, **computing: Any) -> dict[str, Any]:
    """Return the summary of a table of maps, written into the folder with its pictures."""
    table = MapBench(plan, BenchImages(plan, folder, **computing), folder).table()
    table.write(folder)
    return table.summary()


def _picture(row: MapRow, voxel_size: float) -> Pictured:
    half_1, half_2 = (torch.from_numpy(row.volume(name)) for name in ("half1", "half2"))
    return Pictured(row.volume("map_filtered"), local_resolution(half_1, half_2, voxel_size).numpy())


def _first(source: Source, particles: int) -> Source:
    return Subset(source, np.arange(min(particles, source.n)))


def _named(key: RowKey) -> dict[str, Any]:
    return {"series": key.series, "cell": key.cell, "method": key.method, "particles": key.particles}
