"""Poses by RELION in a folder of its own, where every finished part is kept and none is done twice."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from cryoprior.external.relion import (
    RELION,
    RelionPoses,
    SearchStep,
    auto_refine,
    has_mpi,
    read_poses,
    refine_search,
    relion_version,
)
from cryoprior.io import ParticleStack
from cryoprior.io.volumes import read_volume
from cryoprior.output.folder import claim_output
from cryoprior.output.record import file_digest, to_json
from cryoprior.output.stored_json import read_json
from cryoprior.poses.relion_input import write_search_input

RECORD = "record.json"
MAKES = ("relion", "poses.star", "pose_errors.*", "summary.json", "provenance.json")
"""What a search leaves in its output, as patterns."""
DIAMETER_OF_BOX = 0.84
REFINE_THREADS, REFINE_PARTICLES = 8, 1000
FINEST_OFFSETS = 4

log = logging.getLogger("cryoprior")


@dataclass(frozen=True, eq=False, repr=False)
class PoseSearch:
    """What is searched, and how.

    particles: their own poses are not used. reference: the map, of their box and pixel size.
    mode: ``search``, ``refine``, or ``auto``; see ``chosen_mode``. symmetry: point group of the map.
    lowpass: of the map, angstrom. healpix_order: of the first search; 2 is 7.5 degrees.
    shift_range: the farthest shift along x or y, angstrom. diameter: of the particle, angstrom.
    contrast: ``bright`` or ``dark`` against the map, or ``auto``. threads: of the processor.
    """

    particles: ParticleStack
    reference: Path
    mode: str
    symmetry: str
    lowpass: float
    healpix_order: int
    shift_range: float
    diameter: float
    contrast: str
    threads: int

    def __repr__(self) -> str:
        return f"PoseSearch({len(self.particles)} particles of {self.particles.path} against {self.reference})"

    @property
    def chosen_mode(self) -> str:
        """Return ``refine`` or ``search``: auto refines where eight threads, MPI and a thousand particles are there."""
        if self.mode != "auto":
            return self.mode
        enough = self.threads >= REFINE_THREADS and len(self.particles) >= REFINE_PARTICLES
        return "refine" if enough and has_mpi() else "search"

    def steps(self) -> dict[str, SearchStep]:
        """Return the passes of ``search`` by name: over all poses, then near them, four times as fine.

        The first one looks no finer than its angles can tell: the arc of the particle's rim in one step of them.
        """
        reach = max(2, math.ceil(self.shift_range / self.pixel_size))
        stride = max(2.0, reach / FINEST_OFFSETS)
        step_deg = 30.0 / 2**self.healpix_order  # RELION halves the step of the order, 60 / 2^order, once
        rim = math.radians(step_deg) * self.diameter / 2
        coarse = SearchStep(self.healpix_order, reach, stride, max(self.lowpass, rim))
        near = SearchStep(self.healpix_order + 2, 1.5 * stride, stride / 2, self.lowpass, sigma_deg=2 / 3 * step_deg)
        return {"global": coarse, "local": near}

    @property
    def pixel_size(self) -> float:
        """Return the pixel size of the particles in angstrom."""
        return float(self.particles.pixel_size[0])

    @cached_property
    def volume(self) -> Float32[np.ndarray, "d d d"]:
        """Return the reference map; InputError where it does not lie on the grid of the particles."""
        return read_volume(self.reference, self.particles.box, self.pixel_size)

    def identity(self) -> dict[str, Any]:
        """Return all that decides the poses; a run goes on only where another began with the same."""
        names = ("symmetry", "lowpass", "healpix_order", "shift_range", "diameter", "contrast")
        return {
            "particles": self.particles.digest(),
            "n": len(self.particles),
            "pixel_size": self.pixel_size,
            "reference": file_digest(self.reference),
            "relion_version": relion_version(),
            "mode": self.chosen_mode,
            **{name: getattr(self, name) for name in names},
        }


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The poses in the order of the particles, and the facts of the search."""

    poses: RelionPoses
    facts: dict[str, Any]


def default_threads() -> int:
    """Return the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def search_poses(search: PoseSearch, folder: Path) -> SearchResult:
    """Return the poses that RELION finds; the parts that an interrupted run of the same search finished are kept.

    Parameters
    ----------
    folder: RELION's own; made if it is not there. Each part is a folder in it, with its log beside it.

    Raises
    ------
    InputError: RELION is absent or fails, or the reference does not fit the particles.
    """
    RELION.find()
    mode, version = search.chosen_mode, relion_version()
    folder.mkdir(parents=True, exist_ok=True)
    record = _record(_part(folder, "input", partial(_write_input, search)))
    log.info("RELION %s, %s of %d particles", version, mode, len(search.particles))
    data, seconds = (_refine if mode == "refine" else _search)(search, folder)
    facts = {**record, "mode": mode, "relion_version": version, "seconds": seconds, "threads": search.threads}
    return SearchResult(read_poses(data, len(search.particles)), facts)


def _search(search: PoseSearch, folder: Path) -> tuple[Path, float]:
    """Return RELION's data file after the passes of ``search``, and the seconds that they took."""
    star, reference, seconds = folder / "input" / "particles.star", folder / "input" / "reference.mrc", 0.0
    for name, step in search.steps().items():

        def work(part: Path, name: str = name, star: Path = star, step: SearchStep = step) -> dict[str, Any]:
            refine_search(star, reference, part, step, log=folder / f"{name}.log", **_shared(search, folder))
            return {}

        part = _part(folder, name, work)
        star, seconds = part / "run_it001_data.star", seconds + float(_record(part)["seconds"])
    return star, seconds


def _refine(search: PoseSearch, folder: Path) -> tuple[Path, float]:
    """Return RELION's data file after its auto-refinement, and the seconds that it took."""
    star, reference = folder / "input" / "particles.star", folder / "input" / "reference.mrc"
    shared = _shared(search, folder) | {"threads": max(1, search.threads // 2)}  # two processes work

    def work(part: Path) -> dict[str, Any]:
        auto_refine(
            star,
            reference,
            part,
            log=folder / "refine.log",
            resolution_angstrom=search.lowpass,
            sampling=search.steps()["global"],
            **shared,
        )
        return {}

    part = _part(folder, "refine", work)
    return part / "run_data.star", float(_record(part)["seconds"])


def _write_input(search: PoseSearch, part: Path) -> dict[str, Any]:
    return write_search_input(part, search.particles, search.volume, search.diameter, search.contrast)


def _part(folder: Path, name: str, work: Callable[[Path], dict[str, Any]]) -> Path:
    """Return the folder of a part of the search, computed unless it is there; it records what the work returns."""
    part = folder / name
    if not part.is_dir():
        with claim_output(part, "poses") as unfinished:
            start = time.monotonic()
            record = work(unfinished)
            text = to_json({"seconds": time.monotonic() - start, **record})
            (unfinished / RECORD).write_text(text + "\n")
    return part


def _record(part: Path) -> dict[str, Any]:
    return read_json(
        part / RECORD, "the record of a search", f"delete {part}, and search again", {"seconds": int | float}
    )


def _shared(search: PoseSearch, folder: Path) -> dict[str, Any]:
    return {
        "folder": folder / "input",
        "diameter_angstrom": search.diameter,
        "symmetry": search.symmetry,
        "ctf": search.particles.ctf_parameters() is not None,
        "threads": search.threads,
    }
