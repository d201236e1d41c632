"""The laws of a particle format: the same particles as a star file names them, and refusals in words."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from cryoprior.errors import InputError
from cryoprior.io import ParticleStack, read_particles
from cryoprior.testing.closeness import require

ANGSTROM, DEGREE = 1e-2, 1e-3
"""How far origins and angles may lie from those of the star file."""


def check_format(path: Path | str, star: Path | str, **companions: Any) -> None:
    """Raise AssertionError unless a file reads as the particles of a star file, and faults of such files are words.

    Poses and CTF are compared where both files have them.

    Parameters
    ----------
    path: a file of the format.
    star: a RELION file of the same particles in the same order.
    companions: what :func:`cryoprior.read_particles` takes beside the path.
    """
    path = Path(path)
    same_particles(read_particles(path, **companions), read_particles(star))
    with tempfile.TemporaryDirectory() as folder:
        absent, empty = Path(folder) / f"absent{path.suffix}", Path(folder) / f"empty{path.suffix}"
        empty.touch()
        for wrong, what in ((absent, "a file that is not there"), (empty, "an empty file")):
            _refused(wrong, what, companions)


def same_particles(stack: ParticleStack, expected: ParticleStack) -> None:
    """Raise AssertionError unless two stacks are the same particles in one order."""
    for name in ("n", "box"):
        a, b = getattr(stack, name), getattr(expected, name)
        require(a == b, f"the same particles: {name}", f"{a}, expected {b}")
    _same("pixel size", stack.pixel_size, expected.pixel_size, 1e-4)
    _same("images", stack.read(slice(None)), expected.read(slice(None)), 0.0)
    poses = stack.poses(), expected.poses()
    if poses[0] is not None and poses[1] is not None:
        _same_rotations(poses[0][0], poses[1][0])
        _same("origins", poses[0][1], poses[1][1], ANGSTROM)
    ctf = stack.ctf_parameters(), expected.ctf_parameters()
    if ctf[0] is not None and ctf[1] is not None:
        names = [", ".join(sorted(parameters or ())) for parameters in ctf]
        require(names[0] == names[1], "the same particles: transfer", f"{names[0]}, expected {names[1]}")
        for name, values in ctf[1].items():
            _same(name, ctf[0][name], values, 1e-2)


def _same(name: str, values: np.ndarray, expected: np.ndarray, within: float) -> None:
    difference = float(np.abs(values.astype(np.float64) - expected).max(initial=0))
    require(difference <= within, f"the same particles: {name}", f"a difference of {difference:.6g}")


def _same_rotations(values: np.ndarray, expected: np.ndarray) -> None:
    from scipy.spatial.transform import Rotation

    a, b = (Rotation.from_euler("ZYZ", angles, degrees=True) for angles in (values, expected))
    difference = float(np.rad2deg((a * b.inv()).magnitude()).max(initial=0))
    require(difference <= DEGREE, "the same particles: rotations", f"a difference of {difference:.6g} degrees")


def _refused(path: Path, what: str, companions: dict[str, Any]) -> None:
    law = f"{what} is refused in words that name it"
    try:
        read_particles(path, **companions)
    except InputError as error:
        require(str(path) in str(error) and "\n" not in str(error), law, repr(str(error)))
    except Exception as error:
        raise AssertionError(f"{law}: found {type(error).__name__}: {error}") from error
    else:
        raise AssertionError(f"{law}: found that it was read")
