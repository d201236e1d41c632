"""What the files of ``map`` hold: the source of the map, and what is mapped beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cryoprior.errors import InputError
from cryoprior.io import Measurements, ParticleStack, read_particles
from cryoprior.io.identity import matched
from cryoprior.maps.arrays import Array
from cryoprior.maps.controls import equal_size_controls
from cryoprior.maps.denoised import check_denoised, is_denoised
from cryoprior.maps.judgement import NamedMaps, judge_maps
from cryoprior.maps.map_set import MapSet
from cryoprior.maps.prior_maps import ask_beside
from cryoprior.maps.sight import Sight
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.source import Source, Subset
from cryoprior.maps.sources import FullParticles, MeasuredParticles, ReconstructedParticles
from cryoprior.maps.sums import MapSettings
from cryoprior.measurement.reading import measured_rows, open_measurements, recorded_measurements
from cryoprior.operators import Operator
from cryoprior.output.record import read_recorded
from cryoprior.prior import MapPrior

PRIOR_FREE = "prior-free, from the measurements"


@dataclass(frozen=True)
class MapJob:
    """What is mapped, and what stands behind it.

    measured: the measurements with their operator, where there are any.
    prior_weight: None where no prior had a hand in the images.
    solver: the text of the solver that made them, empty where none did; the name holds its first word.
    denoised: whether the images are estimates of the signal, without the noise.
    """

    name: str
    source: Source
    measured: tuple[Measurements, Operator] | None = None
    prior_weight: float | None = None
    solver: str = ""
    denoised: bool = False

    @classmethod
    def open(
        cls,
        path: Path,
        measurements: Path | None,
        prior_weight: float,
        *,
        even_if_denoised: bool = False,
        **companions: Any,
    ) -> MapJob:
        """Return the job of a particle file, of a reconstruction or of measurements.

        Parameters
        ----------
        measurements: those of a reconstruction; where None, those that it recorded.
        prior_weight: weight of the unmeasured part of a reconstruction.
        even_if_denoised: whether estimates of the signal may be mapped.
        companions: what :func:`cryoprior.read_particles` takes beside the path.

        Raises
        ------
        InputError: files that do not fit together; estimates of the signal that may not be mapped.
        """
        if path.suffix == ".zarr":
            measured = open_measurements(path)
            return cls(PRIOR_FREE, MeasuredParticles(*measured), measured)
        stack, recorded = read_particles(path, **companions), read_recorded(path.parent)
        denoised = is_denoised(stack.table, recorded)
        check_denoised(path, denoised=denoised, allowed=even_if_denoised)
        if measurements is None and "measurements" not in recorded:
            return cls("denoised particles" if denoised else "full particles", FullParticles(stack), denoised=denoised)
        measured = _open_measured(stack, measurements or recorded_measurements(path.parent, recorded))
        solver = str(recorded.get("solver", ""))
        method, estimate = solver.partition(":")[0] or "reconstruction", str(recorded.get("estimate", ""))
        words = [method, *([estimate] if estimate and estimate != method else [])]
        name = f"{' '.join(words)}, prior weight {prior_weight:g}"
        source = ReconstructedParticles(stack, Sight(measured[1], measured[0].particle_index), prior_weight)
        return cls(name, source, measured, prior_weight, solver, denoised)

    def limited(self, n: int | None) -> MapJob:
        """Return the job on its first n particles."""
        rows = np.arange(min(n or self.source.n, self.source.n))
        return dataclasses.replace(self, source=Subset(self.source, rows))

    def beside(self, full: Path | None, **companions: Any) -> Iterator[tuple[str, Source]]:
        """Yield what is mapped beside it: the measurements of a reconstruction, and controls of equal size.

        ``full`` are the particles that were measured, of which the controls are made.
        """
        rows = np.arange(self.source.n)
        if self.measured is None:
            if full is not None:
                raise InputError("<controls>: full particles have no compression to match; pass measurements (.zarr)")
            return
        if self.prior_weight is not None:
            yield PRIOR_FREE, Subset(MeasuredParticles(*self.measured), rows)
        if full is not None:
            measurements, operator = self.measured
            stack = measured_rows(read_particles(full, **companions), measurements).subset(rows)
            yield "full particles", FullParticles(stack)
            yield from equal_size_controls(stack, operator.storage_compression)

    def files(self, beside: Iterable[tuple[str, Source]]) -> set[Path]:
        """Return all files and folders that are read for it and for what is mapped beside it."""
        measured = () if self.measured is None else (self.measured[0].path,)
        return {*self.source.files, *measured, *(file for _, source in beside for file in source.files)}

    def named_maps(
        self,
        beside: Iterable[tuple[str, Source]],
        settings: MapSettings,
        mask: Array | None = None,
        truth: Array | None = None,
        seed: int = 0,
        prior: MapPrior | None = None,
    ) -> list[NamedMaps]:
        """Return the maps with what is mapped beside them, all judged within the mask of the first.

        A map prior is asked for the first.
        """
        maps = _finite_maps(self.source, settings, "map")
        judgement = judge_maps(maps, mask, truth, seed)
        if prior is not None:
            audit = ask_beside(maps, judgement, prior, settings.symmetry, truth, self.source.geometry.euler_deg)
            maps = dataclasses.replace(maps, audit=audit)
        first = NamedMaps(self.name, maps, judgement)
        others = [(name, _finite_maps(source, settings, name)) for name, source in beside]
        return [
            first,
            *(NamedMaps(name, maps, judge_maps(maps, first.judgement.mask, truth, seed)) for name, maps in others),
        ]


def _finite_maps(source: Source, settings: MapSettings, label: str) -> MapSet:
    maps = solve_maps(source, settings, label)
    if not bool(torch.isfinite(maps.full).all()):
        raise InputError(f"{source.path}: the map is not finite; expected finite images; run cryoprior validate")
    return maps


def _open_measured(stack: ParticleStack, path: Path) -> tuple[Measurements, Operator]:
    """Return the measurements of the particles of a reconstruction, or of some of it, row by row.

    Raises
    ------
    InputError: more particles than were measured, others, or another box.
    """
    measurements, operator = open_measurements(path)
    if stack.n > measurements.n or stack.box != measurements.box:
        raise InputError(
            f"{stack.path}: {stack.n} particles of box {stack.box}; {path} has {measurements.n} of box "
            f"{measurements.box}; pass the measurements that were reconstructed"
        )
    places = matched(stack.identified, measurements.identified).places
    return measurements if np.array_equal(places, np.arange(measurements.n)) else measurements[places], operator
