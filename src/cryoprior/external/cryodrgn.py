"""cryoDRGN: particles as it reads them, and its back-projection.

It reads a stack beside poses.pkl and ctf.pkl (docs/formats.md) and wants an even box. Its CTF is the negative of
RELION's, and it turns the sign of all images to make up for that; without a CTF it must be told not to. Facts are those
of cryoDRGN 4.3.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from cryoprior.errors import InputError
from cryoprior.external.program import Program
from cryoprior.io import ParticleStack, StackWriter, read_map, row_batches, write_map
from cryoprior.io.formats.columns import CTF
from cryoprior.io.optics import Columns, changing_columns, check_honoured, optical_parameters

VARIABLE = "CRYOPRIOR_CRYODRGN"
CRYODRGN = Program(
    "cryoDRGN", "cryodrgn", f"pip install 'cryoprior[heterogeneity]', or name its executable by {VARIABLE}", VARIABLE
)

BATCH = 256
STACK, POSES, CTF_FILE, MAP = "particles.mrcs", "poses.pkl", "ctf.pkl", "backproject.mrc"


@dataclass(frozen=True)
class CryodrgnInput:
    """The files that cryoDRGN is given; ``ctf`` is None where the particles have none."""

    stack: Path
    poses: Path
    ctf: Path | None


def write_input(particles: ParticleStack, folder: Path) -> CryodrgnInput:
    """Return the files of the particles as cryoDRGN reads them, written into a folder: stack, poses and CTF.

    Raises
    ------
    InputError: no poses, an odd box, or a transfer that cryoDRGN does not know: B-factor, scale, aberrations,
        magnification, images treated with their CTF.
    """
    poses = particles.poses()
    if poses is None:
        raise InputError(
            f"{particles.path}: no poses (rlnAngleRot, rlnAngleTilt, rlnAnglePsi); expected those of every particle; "
            "refine them first"
        )
    columns = Columns.of(particles.path, particles.table, particles.optics)
    beside = changing_columns(optical_parameters(columns))
    if beside:
        raise InputError(
            f"{particles.path}: {', '.join(beside)} change the transfer of its particles; expected a CTF of defocus, "
            "astigmatism and phase shift, all that cryoDRGN knows; pass particles without them"
        )
    check_honoured(columns)
    if particles.box % 2:
        raise InputError(f"{particles.path}: box {particles.box}; cryoDRGN wants an even one; resize the particles")
    folder.mkdir(parents=True, exist_ok=True)
    sizes = particles.pixel_size
    with StackWriter(folder / STACK, particles.n, particles.box, float(sizes[0])) as writer:
        for places in row_batches(particles.n, BATCH):
            writer.write(np.asarray(particles.read(places), np.float32))
    rotations = Rotation.from_euler("ZYZ", poses[0], degrees=True).as_matrix().transpose(0, 2, 1)
    shifts = poses[1] / (particles.box * sizes[:, None])
    _dump(folder / POSES, (rotations.astype(np.float32), shifts.astype(np.float32)))
    parameters = particles.ctf_parameters()
    if parameters is None:
        return CryodrgnInput(folder / STACK, folder / POSES, None)
    values = [np.full(particles.n, particles.box), sizes, *(parameters[key] for key in CTF)]
    _dump(folder / CTF_FILE, np.stack(values, 1).astype(np.float32))
    return CryodrgnInput(folder / STACK, folder / POSES, folder / CTF_FILE)


def backproject(
    particles: ParticleStack, folder: Path, *, executable: Path | None = None, regularisation: float = 1.0
) -> Path:
    """Return the map that ``cryodrgn backproject_voxel`` makes of particles with poses, contrast as in the images.

    Parameters
    ----------
    folder: for its input, its map and its log; made if it is not there.
    executable: cryoDRGN's; None: the one that is found.
    regularisation: this times the mean weight is added to the weight of every voxel; 1 is cryoDRGN's own choice.

    Raises
    ------
    InputError: what :func:`write_input` refuses; cryoDRGN is absent or fails.
    """
    program, folder = CRYODRGN.find(executable), folder.resolve()
    given, out = write_input(particles, folder), folder / "backprojection"
    words: list[str | Path | float] = [program, "backproject_voxel", given.stack, "--poses", given.poses]
    words += ["--ctf", given.ctf] if given.ctf else ["--uninvert-data"]
    words += ["--outdir", out, "--no-half-maps", "--reg-weight", regularisation]
    (out / MAP).unlink(missing_ok=True)
    CRYODRGN.run(words, folder=folder, log=folder / "cryodrgn.log")
    if given.ctf is None:  # it knows the pixel size from ctf.pkl alone
        write_map(out / MAP, read_map(out / MAP)[0], float(particles.pixel_size[0]))
    return out / MAP


def _dump(path: Path, value: object) -> None:
    with path.open("wb") as file:
        pickle.dump(value, file)
