"""RELION: particles as it reads them, its reconstruction, pose search, auto-refinement and post-processing.

It finds stacks by names relative to the folder it runs in, reads no float16, and wants one pixel size and bright
particles for a map of positive density. Facts are those of RELION 3.1.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cryoprior.errors import InputError
from cryoprior.external.program import Program, tail
from cryoprior.external.relion_files import STACK, RelionPoses, read_poses, readable_star, write_particles
from cryoprior.external.relion_optics import phase_flipped
from cryoprior.io import read_star
from cryoprior.output.files import whole_file

RELION = Program("RELION", "relion_refine", "install it (Debian and Ubuntu: apt-get install relion) or put it there")

__all__ = [
    "RELION",
    "PostProcessing",
    "RelionPoses",
    "SearchStep",
    "auto_refine",
    "has_mpi",
    "postprocess",
    "read_poses",
    "readable_star",
    "reconstruct",
    "refine_search",
    "relion_version",
    "write_particles",
]

AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
NO_GUINIER_PLOT = "addToCPlot2D"
PROCESSES = 3
"""A leader and one process for each half of the data."""

Words = list[str | float | Path]


def relion_version() -> str:
    """Return RELION's version, for example ``3.1.3``.

    Raises
    ------
    InputError: RELION is not on the PATH.
    """
    version = re.search(r"version:?\s*v?([\w.-]+)", RELION.answer(["relion_refine", "--version"]), re.IGNORECASE)
    return version.group(1) if version else "unknown"


@dataclass(frozen=True)
class SearchStep:
    """One pass over all poses, or over those near the last ones, against a reference that stays as it is.

    healpix_order: 1, 2, 3, ... samples angles every 30, 15, 7.5, ... degrees; what is found is half as coarse.
    offset_range_pixel, offset_step_pixel: shifts that are tried; what is found is half as coarse.
    resolution_angstrom: the reference is low-passed there, and nothing beyond is compared.
    sigma_deg: search within three times this of the last pose; None: everywhere.
    """

    healpix_order: int
    offset_range_pixel: float
    offset_step_pixel: float
    resolution_angstrom: float
    sigma_deg: float | None = None


@dataclass(frozen=True)
class PostProcessing:
    """What ``relion_postprocess`` found: the resolution, the curves by shell, and where its maps are."""

    resolution_angstrom: float
    curves: pd.DataFrame
    map: Path
    star: Path


def reconstruct(
    star: Path,
    output: Path,
    symmetry: str = "C1",
    ctf: bool = True,
    half: int | None = None,
    pad: int = 2,
    *,
    log: Path | None = None,
) -> Path:
    """Return the path of the map that ``relion_reconstruct`` makes of particles with poses.

    Parameters
    ----------
    star: as :func:`readable_star` gives it; stacks are found from its folder.
    output: the .mrc to be; it appears when it is whole. The log is beside it unless ``log`` names another place.
    half: 1 or 2 for the particles of that rlnRandomSubset only.

    Raises
    ------
    InputError: RELION is absent or fails.
    """
    RELION.find("relion_reconstruct")
    output = output.resolve()
    with whole_file(output) as partial:
        words: Words = ["relion_reconstruct", "--i", star.name, "--o", partial]
        words += ["--sym", symmetry, "--pad", pad]
        words += ["--ctf", *_treated(star)] if ctf else []
        words += ["--subset", half] if half is not None else []
        RELION.run(words, folder=star.resolve().parent, log=log or output.with_suffix(".log"))
    return output


def postprocess(
    half_1: Path,
    half_2: Path,
    folder: Path,
    *,
    mask: Path | None = None,
    pixel_size: float | None = None,
    sharpen: bool = False,
) -> PostProcessing:
    """Return the resolution and the curves that ``relion_postprocess`` finds of two half-maps.

    Parameters
    ----------
    half_1, half_2: the half-maps.
    folder: made if it is not there; the files are ``run.star``, ``run.mrc`` and so on.
    mask: a map of 0 to 1; with it the curve is corrected by phase randomisation.
    sharpen: fit a B-factor and apply it.

    Raises
    ------
    InputError: RELION is absent or fails.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    words: Words = ["relion_postprocess", "--i", half_1.resolve(), "--i2", half_2.resolve()]
    words += ["--o", folder / "run"]
    words += ["--mask", mask.resolve()] if mask else []
    words += ["--angpix", pixel_size] if pixel_size else []
    words += ["--auto_bfac"] if sharpen else []
    star, log = folder / "run.star", folder / "run.log"
    star.unlink(missing_ok=True)
    try:
        RELION.run(words, folder=folder, log=log)
    except InputError:
        # where Nyquist is above 10 A it fails over its Guinier plot, when map and curves are written
        if not star.is_file() or NO_GUINIER_PLOT not in tail(log):
            raise
    blocks = read_star(star)
    resolution = float(blocks["general"]["rlnFinalResolution"].iloc[0])
    return PostProcessing(resolution, blocks["fsc"], folder / "run.mrc", star)


def refine_search(
    star: Path,
    reference: Path,
    output: Path,
    step: SearchStep,
    *,
    folder: Path,
    log: Path,
    diameter_angstrom: float,
    symmetry: str = "C1",
    ctf: bool = True,
    threads: int = 1,
    pad: int = 1,
) -> Path:
    """Return RELION's data file after one search over poses; the reference is never changed.

    RELION stops after the expectation step (``--skip_maximize``): reference and noise stay those it began with.

    Parameters
    ----------
    star: particles; their stacks are named as seen from ``folder``, where RELION runs.
    reference: on the particles' grey scale, as it is before the CTF.
    output: an existing folder for RELION's files.
    step: what to search; a local one starts from the poses in ``star``.
    diameter_angstrom: beyond it the images are masked.
    """
    words = _refine_words("relion_refine", star, reference, output, folder, diameter_angstrom, symmetry, ctf, threads)
    words += ["--iter", 1, "--skip_maximize", "--pad", pad, *_sampling(step), "--ini_high", step.resolution_angstrom]
    RELION.run(words, folder=folder, log=log)
    return _data_file(output, "run_it001_data.star", log)


def auto_refine(
    star: Path,
    reference: Path,
    output: Path,
    *,
    folder: Path,
    log: Path,
    diameter_angstrom: float,
    resolution_angstrom: float,
    symmetry: str = "C1",
    ctf: bool = True,
    threads: int = 1,
    sampling: SearchStep | None = None,
) -> Path:
    """Return RELION's data file after gold-standard auto-refinement from a low-passed reference, by MPI.

    Parameters are those of :func:`refine_search`; ``sampling`` is the global one that it begins with, and
    ``resolution_angstrom`` that to which the reference is low-passed. The map is re-made from the particles in every
    iteration, so its frame may drift away from the reference's.
    """
    RELION.find("relion_refine_mpi")
    first = sampling or SearchStep(2, 5, 2, resolution_angstrom)
    words: Words = ["mpirun", "--oversubscribe", "-n", PROCESSES]
    words += _refine_words(
        "relion_refine_mpi", star, reference, output, folder, diameter_angstrom, symmetry, ctf, threads
    )
    words += ["--auto_refine", "--split_random_halves", "--auto_local_healpix_order", 4, "--flatten_solvent", "--norm"]
    words += ["--low_resol_join_halves", 40, "--pad", 2, "--pool", 3, "--dont_combine_weights_via_disc"]
    words += [*_sampling(first), "--ini_high", resolution_angstrom]
    RELION.run(words, folder=folder, log=log, environment=AS_ROOT)
    return _data_file(output, "run_data.star", log)


def has_mpi() -> bool:
    """Return whether RELION's MPI program and ``mpirun`` are on the PATH, which auto-refinement needs."""
    mpirun = Program("MPI", "mpirun", "")
    return mpirun.path is not None and Program("RELION", "relion_refine_mpi", "").path is not None


def _refine_words(
    program: str,
    star: Path,
    reference: Path,
    output: Path,
    folder: Path,
    diameter_angstrom: float,
    symmetry: str,
    ctf: bool,
    threads: int,
) -> Words:
    words: Words = [program, "--i", _seen_from(folder, star)]
    words += ["--o", _seen_from(folder, output / "run")]
    words += ["--ref", _seen_from(folder, reference), "--particle_diameter", f"{diameter_angstrom:.1f}"]
    words += ["--sym", symmetry, "--zero_mask", "--dont_check_norm", "--random_seed", 1, "--j", threads]
    words += ["--preread_images"] if _fits(folder / STACK) else []
    # without the second, RELION leaves the amplitudes of the CTF out of its first iteration
    return [*words, "--ctf", "--ctf_corrected_ref", *_treated(star)] if ctf else words


def _treated(star: Path) -> Words:
    """Return the option that says that images were phase-flipped; premultiplied ones RELION knows from data_optics."""
    return ["--ctf_phase_flipped"] if phase_flipped(star) else []


def _sampling(step: SearchStep) -> Words:
    words: Words = ["--oversampling", 1, "--healpix_order", step.healpix_order]
    words += ["--offset_range", step.offset_range_pixel, "--offset_step", step.offset_step_pixel]
    return [*words, "--sigma_ang", step.sigma_deg] if step.sigma_deg else words


def _seen_from(folder: Path, path: Path) -> str:
    return os.path.relpath(path.resolve(), folder.resolve())


def _fits(stack: Path) -> bool:
    """Return whether the stack takes less than a quarter of the memory, so that RELION may read it in advance."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return stack.is_file() and 2 * stack.stat().st_size < memory / 4  # it keeps them in single precision, and copies


def _data_file(output: Path, name: str, log: Path) -> Path:
    if not (output / name).is_file():
        raise InputError(f"{RELION.name}: it ended without {output / name}; see its log, {log}")
    return output / name
