"""cryoDRGN trained on the stacks to compare, with the same options and seed for each, resumed where interrupted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cryoprior.errors import InputError
from cryoprior.external.cryodrgn import CRYODRGN, CTF_FILE, POSES, STACK, CryodrgnInput, write_input
from cryoprior.external.cryodrgn_training import CryodrgnTraining, train
from cryoprior.io import ParticleStack, read_particles
from cryoprior.measurement.intensity import Contrast, contrast_clearness, decide_contrast
from cryoprior.output.files import write_whole
from cryoprior.output.folder import holds_run, resume_output
from cryoprior.output.record import to_json

COMMAND, RECORD = "cryodrgn training", "training.json"
LOOKED_AT = 512
"""Particles from which the sign of the contrast is read."""

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class TrainingJob:
    """Particles to train on, and with what; see :func:`cryoprior.external.cryodrgn_training.train`."""

    particles: Path
    training: CryodrgnTraining
    contrast: str = "auto"
    executable: Path | None = None
    threads: int | None = None

    def read(self) -> ParticleStack:
        """Return the particles as cryoDRGN sees them, cropped to the box of the training.

        Raises
        ------
        InputError: a box below that of the training; what reading them refuses.
        """
        particles = read_particles(self.particles)
        box = self.training.box or particles.box
        if particles.box < box:
            raise InputError(
                f"{self.particles}: box {particles.box}; the training crops images to {box} pixels; pass <train_box> "
                f"{particles.box} or less"
            )
        return particles if particles.box == box else particles.resized(box)


def train_latents(jobs: Mapping[str, TrainingJob], work: Path, *, overwrite: bool = False) -> dict[str, Path]:
    """Return cryoDRGN's latents by the jobs' names, trained in folders of ``work`` unless they are there already.

    The sign of the contrast is that of the first job's particles, for all of them.

    Raises
    ------
    InputError: stacks of different length, no poses, a folder with a training of other options, or cryoDRGN fails.
    """
    for name, job in jobs.items():
        if not (work / name / RECORD).is_file():
            CRYODRGN.find(job.executable)
    stacks = {name: job.read() for name, job in jobs.items()}
    check_same_particles(list(stacks.values()))
    first, job = next(iter(stacks.values())), next(iter(jobs.values()))
    contrast = read_contrast(first, job.contrast)
    log.info("contrast: %s", contrast)
    return {
        name: _train(name, jobs[name], stacks[name], contrast.particles == "dark", work / name, overwrite=overwrite)
        for name in jobs
    }


def check_same_particles(stacks: list[ParticleStack]) -> None:
    """Raise InputError where the stacks differ in length; log a warning where their poses differ."""
    first = stacks[0]
    for other in stacks[1:]:
        if other.n != first.n:
            raise InputError(
                f"{other.path}: {other.n} particles; {first.path} has {first.n}; the rows must be the same particles "
                "in the same order; pass the matching file"
            )
        poses, others = first.poses(), other.poses()
        if poses is not None and others is not None and not np.allclose(poses[0], others[0], atol=1e-3):
            log.warning(
                "%s: other poses than %s; if these are not the same particles in the same order, the agreement of "
                "clusters means nothing",
                other.path,
                first.path,
            )


def read_contrast(particles: ParticleStack, wanted: str) -> Contrast:
    """Return the sign of the particles against their surroundings, as wanted or as the first ones show it."""
    if wanted != "auto":
        return decide_contrast(wanted, 0.0)
    images = torch.from_numpy(particles.read(slice(LOOKED_AT)))
    return decide_contrast(wanted, contrast_clearness(images))


def _train(name: str, job: TrainingJob, particles: ParticleStack, dark: bool, folder: Path, *, overwrite: bool) -> Path:
    """Return the latents of a training in its folder; an interrupted one goes on, a finished one is used."""
    has_ctf = particles.ctf_parameters() is not None
    # cryoDRGN turns bright particles dark and its CTF makes up for it: docs/formats.md
    uninvert = dark == has_ctf
    identity = {"digest": particles.digest(), "n": particles.n, "training": job.training, "uninvert_data": uninvert}
    with resume_output(
        folder,
        COMMAND,
        identity,
        overwrite=overwrite and not holds_run(folder, COMMAND, identity),
        inputs=(job.particles, *particles.files),
        reopen=True,
    ) as work:
        given = _given(particles, work.folder, {"particles": str(job.particles), **identity}, has_ctf=has_ctf)
        log.info("%s: cryoDRGN on %d particles of %d pixels", name, particles.n, particles.box)
        latents = train(
            given,
            work.folder / "train",
            job.training,
            uninvert=uninvert,
            executable=job.executable,
            threads=job.threads,
        )
        place = latents.relative_to(work.folder)
        return work.complete() / place


def _given(particles: ParticleStack, folder: Path, record: Mapping[str, Any], *, has_ctf: bool) -> CryodrgnInput:
    """Return cryoDRGN's input in the folder, written unless the record beside it says that it is whole."""
    if (folder / RECORD).is_file():
        return CryodrgnInput(folder / STACK, folder / POSES, folder / CTF_FILE if has_ctf else None)
    given = write_input(particles, folder)
    write_whole(folder / RECORD, to_json(record))
    return given
