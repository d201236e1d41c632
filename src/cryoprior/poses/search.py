"""Poses by RELION in a folder of its own, where every finished part is kept and none is done twice."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cryoprior.errors import InputError
from cryoprior.external.relion import (
    RELION,
    RelionPoses,
    SearchStep,
    auto_refine,
    has_mpi,
    read_poses,
    refine_search,
    relion_version,
    write_particles,
)
from cryoprior.io import ParticleStack, write_map
from cryoprior.io.volumes import read_volume
from cryoprior.output.folder import claim_output
from cryoprior.output.record import file_digest, to_json
from cryoprior.poses.reference import CLEAR, Scale, background, find_scale, without_background

IDENTITY, RECORD = "options.json", "record.json"
REFINE_THREADS, REFINE_PARTICLES = 8, 1000
FINEST_OFFSETS = 4

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class PoseSearch:
    """What is searched, and how; the fields are the options of ``cryoprior poses``."""

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
        pixel_size = float(self.particles.pixel_size[0])
        reach = max(2, math.ceil(self.shift_range / pixel_size))
        stride = max(2.0, reach / FINEST_OFFSETS)
        step_deg = 30.0 / 2**self.healpix_order  # RELION halves the step of the order, 60 / 2^order, once
        rim = math.radians(step_deg) * self.diameter / 2
        coarse = SearchStep(self.healpix_order, reach, stride, max(self.lowpass, rim))
        near = SearchStep(self.healpix_order + 2, 1.5 * stride, stride / 2, self.lowpass, sigma_deg=2 / 3 * step_deg)
        return {"global": coarse, "local": near}


@dataclass(frozen=True)
class SearchResult:
    """The poses in the order of the particles, and what is to be told of the search."""

    poses: RelionPoses
    facts: dict[str, Any]


def default_threads() -> int:
    """Return the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def search_poses(search: PoseSearch, folder: Path, *, overwrite: bool) -> SearchResult:
    """Return the poses that RELION finds; what an interrupted run of the same search finished is not done again.

    Parameters
    ----------
    folder: RELION's own; made if it is not there. Each part is a folder in it, with its log beside it.
    overwrite: throw away what another search left there.

    Raises
    ------
    InputError: RELION is absent or fails, the folder holds another search, or the reference does not fit.
    """
    RELION.find()
    pixel_size = float(search.particles.pixel_size[0])
    volume = read_volume(search.reference, search.particles.box, pixel_size)
    mode, version = search.chosen_mode, relion_version()
    _claim(folder, _identity(search, mode, version), overwrite)
    record = _prepare(search, folder, volume, pixel_size)
    log.info("RELION %s, %s of %d particles", version, mode, len(search.particles))
    data, seconds = (_refined if mode == "refine" else _searched)(search, folder)
    facts = {"mode": mode, "relion_version": version, "seconds": seconds, "threads": search.threads, **record}
    return SearchResult(read_poses(data, len(search.particles)), facts)


def _searched(search: PoseSearch, folder: Path) -> tuple[Path, float]:
    star, seconds = folder / "input" / "particles.star", 0.0
    for name, step in search.steps().items():
        output = folder / name
        if not output.is_dir():
            with claim_output(output) as partial:
                start = time.monotonic()
                refine_search(
                    star,
                    folder / "input" / "reference.mrc",
                    partial,
                    step,
                    log=_log(folder, name),
                    **_shared(search, folder),
                )
                _write_record(partial, {"seconds": time.monotonic() - start})
        star, seconds = output / "run_it001_data.star", seconds + _seconds(output)
    return star, seconds


def _refined(search: PoseSearch, folder: Path) -> tuple[Path, float]:
    output, first = folder / "refine", search.steps()["global"]
    if not output.is_dir():
        with claim_output(output) as partial:
            start = time.monotonic()
            shared = _shared(search, folder) | {"threads": max(1, search.threads // 2)}  # two processes work
            auto_refine(
                folder / "input" / "particles.star",
                folder / "input" / "reference.mrc",
                partial,
                log=_log(folder, "refine"),
                resolution_angstrom=search.lowpass,
                sampling=first,
                **shared,
            )
            _write_record(partial, {"seconds": time.monotonic() - start})
    return output / "run_data.star", _seconds(output)


def _shared(search: PoseSearch, folder: Path) -> dict[str, Any]:
    return {
        "folder": folder / "input",
        "diameter_angstrom": search.diameter,
        "symmetry": search.symmetry,
        "ctf": search.particles.ctf_parameters() is not None,
        "threads": search.threads,
    }


def _prepare(search: PoseSearch, folder: Path, volume: np.ndarray, pixel_size: float) -> dict[str, Any]:
    """Write RELION's input, unless it is there, and return what was found of contrast and grey scale.

    The images lose the mean of their background and are divided by the noise's deviation, one number for all; dark
    ones change their sign; the map takes the scale.
    """
    if not (folder / "input").is_dir():
        radius_pixel = search.diameter / 2 / pixel_size
        scale = find_scale(search.particles, volume, radius_pixel)
        sign = _sign(search, scale)
        unit = scale.noise if scale.noise > 0 else 1.0
        outside = background(search.particles.box, radius_pixel)

        def change(images: np.ndarray) -> np.ndarray:
            centred = without_background(torch.from_numpy(np.array(images)), outside.float())[0]
            return np.asarray((centred * (sign / unit)).numpy())

        with claim_output(folder / "input") as partial:
            write_particles(search.particles, partial, poses=False, change=change)
            write_map(partial / "reference.mrc", volume * (abs(scale.factor) / unit), pixel_size)
            record = {"contrast": "bright" if sign > 0 else "dark", "contrast_clearness": abs(scale.clearness)}
            _write_record(partial, {**record, "reference_scale": abs(scale.factor)})
    known: dict[str, Any] = json.loads((folder / "input" / RECORD).read_text())
    return known


def _sign(search: PoseSearch, scale: Scale) -> int:
    found = 1 if scale.factor > 0 else -1
    if search.contrast == "auto":
        if not scale.clear:
            raise InputError(
                f"{search.particles.path}: the sign of the contrast against {search.reference} is not clear "
                f"({scale.clearness:.1f} standard errors, {CLEAR:g} expected); pass <contrast=bright> or dark, more "
                "particles, or the right reference"
            )
        return found
    told = 1 if search.contrast == "bright" else -1
    if told != found or not scale.clear:
        log.warning(
            "%s: <contrast> %s, but the images say %+.1f standard errors",
            search.particles.path,
            search.contrast,
            scale.clearness,
        )
    return told


def _claim(folder: Path, identity: dict[str, Any], overwrite: bool) -> None:
    path = folder / IDENTITY
    known = json.loads(path.read_text()) if path.is_file() else None
    if known == identity:
        return
    if folder.is_dir() and any(folder.iterdir()):
        changed = sorted(key for key in identity if known is not None and known.get(key) != identity[key])
        found = f"a search with other {', '.join(changed)}" if changed else "something else"
        if known is None or not overwrite:
            remedy = "pass another <output>, or <overwrite>" if known is not None else "pass another <output>"
            raise InputError(f"{folder}: in use by {found}; {remedy}")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(to_json(identity) + "\n")


def _identity(search: PoseSearch, mode: str, version: str) -> dict[str, Any]:
    identity = {
        "particles": search.particles.digest(),
        "n": len(search.particles),
        "pixel_size": float(search.particles.pixel_size[0]),
        "reference": file_digest(search.reference),
        "relion_version": version,
        "mode": mode,
    }
    names = ("symmetry", "lowpass", "healpix_order", "shift_range", "diameter", "contrast")
    plain: dict[str, Any] = json.loads(to_json(identity | {name: getattr(search, name) for name in names}))
    return plain


def _log(folder: Path, name: str) -> Path:
    return folder / f"{name}.log"


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    (folder / RECORD).write_text(to_json(record) + "\n")


def _seconds(folder: Path) -> float:
    return float(json.loads((folder / RECORD).read_text())["seconds"])
