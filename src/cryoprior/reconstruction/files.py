"""What a reconstruction writes beside its images: the page, and the check by shell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cryoprior.io import read_particles
from cryoprior.reconstruction.check import Check
from cryoprior.reconstruction.job import ReconstructionJob
from cryoprior.reconstruction.page import ReconstructionPage
from cryoprior.reconstruction.pictures import SignalPictures
from cryoprior.report.page import write_page

SHOWN = 3
"""Particles in the pictures."""


def write_report(folder: Path, job: ReconstructionJob, summary: Mapping[str, Any], check: Check | None) -> None:
    """Write report.html and, of a check, check.csv; the images are there already."""
    signal = job.solver.estimate == "signal"
    pictures = _pictures(folder, job) if signal else None
    page = ReconstructionPage(_facts(job, summary), pictures, check, signal)
    if check is not None:
        check.shells.to_csv(folder / "check.csv", index=False, float_format="%.6g")
    title = "Denoised particles" if job.of == "images" else "Reconstruction"
    write_page(folder / "report.html", title, page.sections(), job.measurements.path.name)


def _pictures(folder: Path, job: ReconstructionJob) -> SignalPictures:
    rows = range(min(SHOWN, job.n))
    y = torch.from_numpy(job.measurements.y(list(rows)))
    particles = [int(i) for i in job.measurements.particle_index[list(rows)]]
    spread = folder / "deviation" / "particles.star"
    return SignalPictures(
        [number + 1 for number in particles],
        "recorded" if job.of == "images" else "least squares",
        job.operator.pinv(y, particles).numpy(),
        read_particles(folder / "particles.star").read(rows),
        read_particles(spread).read(rows) if spread.is_file() else None,
    )


def _facts(job: ReconstructionJob, summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Particles", str(job.n)),
        ("Box", f"{summary['box']} pixels of {float(job.measurements.pixel_size.mean()):.3f} Å"),
        ("Operator", str(summary["operator"])),
        ("Solver", str(summary["solver"])),
        ("Prior", str(summary["prior"] or "none")),
    ]
