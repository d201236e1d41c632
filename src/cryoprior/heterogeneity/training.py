"""cryoDRGN trained on the stacks to compare, with the same options and seed for each, resumed where interrupted."""

from __future__ import annotations

import hashlib
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
    stacks = in_one_order({name: job.read() for name, job in jobs.items()})
    first, job = next(iter(stacks.values())), next(iter(jobs.values()))
    contrast = read_contrast(first, job.contrast)
    log.info("contrast: %s", contrast)
    return {
        name: _train(name, jobs[name], stacks[name], contrast.particles == "dark", work / name, overwrite=overwrite)
        for name in jobs
    }


def in_one_order(stacks: Mapping[str, ParticleStack]) -> dict[str, ParticleStack]:
    """Return all stacks with their particles in the order of the first one's.

    Raises
    ------
    InputError: other particles, or another number of them; see :func:`cryoprior.io.identity.matched`.
    """
    names, (first, *others) = list(stacks), stacks.values()
    for other in others:
        if other.n != first.n:
            raise InputError(
                f"{other.path}: {other.n} particles; {first.path} has {first.n}; expected the same particles; "
                "pass the matching file"
            )
    ordered = [first, *(other.in_order_of(first.identified) for other in others)]
    for other in ordered[1:]:
        poses, others_poses = first.poses(), other.poses()
        if poses is not None and others_poses is not None and not np.allclose(poses[0], others_poses[0], atol=1e-3):
            log.warning(
                "%s: other poses than %s; latents then differ by the poses too, not by the images alone",
                other.path,
                first.path,
            )
    return dict(zip(names, ordered, strict=True))


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
    if not np.array_equal(particles.index, np.arange(particles.n)):
        identity["order"] = hashlib.sha256(particles.index.tobytes()).hexdigest()
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
