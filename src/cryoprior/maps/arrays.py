"""Particles in memory: images or measurements with their poses, read as files are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.io import ParticleStack
from cryoprior.io.formats.columns import CTF, OPTICAL, TREATMENT
from cryoprior.maps.geometry import Geometry
from cryoprior.measurement.arrays import as_images, as_particles, as_rows
from cryoprior.measurement.reading import read_finite

ROWS = {"odd_zernike": 2, "even_zernike": 2, "magnification": 3}
"""Parameters of the transfer that have more than a number per particle: the axes of their arrays."""
BESIDE = (*OPTICAL, *ROWS, *TREATMENT)
KNOWN = (*CTF, *BESIDE)

Array = Tensor | np.ndarray | Sequence[Any]


@dataclass(frozen=True, eq=False)
class InMemory:
    """Rows of n particles with their geometry: images (n, box, box), or measurements (n, m).

    index: of every row in the whole stack; it chooses the mask set. path: what messages call them.
    """

    values: Tensor
    geometry: Geometry
    box: int
    index: np.ndarray
    path: Path

    @property
    def n(self) -> int:
        """Return the number of particles."""
        return len(self.values)

    def read(self, rows: np.ndarray) -> Tensor:
        """Return the values of these rows."""
        return self.values[torch.from_numpy(rows).to(self.values.device)]

    def __repr__(self) -> str:
        return f"InMemory({self.path}, {self.n} particles of box {self.box})"


def read_images(particles: ParticleStack | InMemory, rows: np.ndarray) -> Float[Tensor, "b box box"]:
    """Return the images of these rows, (b, box, box) float32; InputError where a file holds one that is not finite."""
    return particles.read(rows) if isinstance(particles, InMemory) else read_finite(particles, rows)


def images_in_memory(images: Array, geometry: Geometry, particles: Array | None = None) -> InMemory:
    """Return images, (n, box, box), as particles in memory; InputError where they do not fit the geometry."""
    values = as_images(images, "images").float()
    return _in_memory("images", values, geometry, values.shape[-1], particles)


def measurements_in_memory(y: Array, geometry: Geometry, box: int, particles: Array | None = None) -> InMemory:
    """Return measurements, (n, m), as particles in memory; InputError where they do not fit the geometry."""
    return _in_memory("y", as_rows(y, "y", 2).float(), geometry, box, particles)


def array_geometry(
    euler_deg: Array,
    pixel_size: float | None,
    origin_pixel: Array | None = None,
    ctf: Mapping[str, Any] | None = None,
    half: Array | None = None,
) -> Geometry:
    """Return the geometry that arrays hold; see :func:`cryoprior.make_maps` for their shapes and units.

    Raises
    ------
    InputError: no pixel size, an array of another shape, a CTF without one of its parameters, a half set other than 1
        and 2.
    """
    euler = pose_angles(euler_deg)
    n = len(euler)
    if pixel_size is None or not pixel_size > 0:
        raise InputError(f"pixel_size {pixel_size}: expected angstrom above 0; pass <pixel_size>")
    origin = np.zeros((n, 2)) if origin_pixel is None else _numbers(origin_pixel, "origin_pixel", (n, 2))
    halves = np.arange(n) % 2 + 1 if half is None else _numbers(half, "half", (n,)).astype(int)
    if not np.isin(halves, (1, 2)).all():
        raise InputError(f"half holds {halves[~np.isin(halves, (1, 2))][0]}: expected 1 or 2 per particle")
    return Geometry(euler, origin, None if ctf is None else _ctf(ctf, n), halves, float(pixel_size))


def pose_angles(euler_deg: Array) -> np.ndarray:
    """Return rot, tilt and psi in degrees, (n, 3) float64; InputError where they are no finite rows of three."""
    euler = _numbers(euler_deg, "euler_deg")
    if euler.ndim != 2 or euler.shape[1] != 3:
        raise InputError(f"euler_deg of shape {euler.shape}: expected (n, 3), rot, tilt and psi in degrees")
    return euler


def volume_tensor(values: Array, name: str, box: int | None = None) -> Float[Tensor, "d d d"]:
    """Return a volume as float32; InputError where it is no finite cube, or not of this box."""
    volume = as_rows(values, name, 3).float()
    side = box or len(volume)
    if volume.shape != (side,) * 3:
        raise InputError(f"{name} of shape {tuple(volume.shape)}: expected a cube of {side} voxels; resample it")
    return volume


def _in_memory(name: str, values: Tensor, geometry: Geometry, box: int, particles: Array | None) -> InMemory:
    n = len(geometry.euler_deg)
    if len(values) != n:
        raise InputError(f"{name}: {len(values)} rows; euler_deg has {n}; pass one pose per particle")
    return InMemory(values, geometry, box, np.array(as_particles(particles, n)), Path(name))


def _ctf(ctf: Mapping[str, Any], n: int) -> dict[str, np.ndarray]:
    """Return the parameters of the transfer, n rows each; InputError where one is missing, unknown or misshapen."""
    given = {"phase_shift_deg": 0.0, **ctf}
    missing, unknown = [name for name in CTF if name not in given], [name for name in given if name not in KNOWN]
    if missing or unknown:
        faults = [*(f"without {name}" for name in missing), *(f"with {name}" for name in unknown)]
        raise InputError(
            f"ctf: {', '.join(faults)}; expected {', '.join(CTF)}, and of {', '.join(BESIDE)} what applies"
        )
    parameters = {}
    for name, values in given.items():
        numbers = _numbers(values, f"ctf {name}", None if name in ROWS else (n,))
        if name in ROWS and (numbers.shape[:1] != (n,) or numbers.ndim != ROWS[name]):
            raise InputError(f"ctf {name} of shape {numbers.shape}: expected {n} rows, one per particle")
        parameters[name] = numbers.astype(bool) if name in TREATMENT else numbers
    return parameters


def _numbers(values: Any, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return finite numbers as float64, a single one spread over the shape."""
    array = np.array(values.detach().cpu() if isinstance(values, Tensor) else values, np.float64)
    if shape is not None and array.shape not in ((), shape):
        raise InputError(f"{name} of shape {array.shape}: expected {shape}, one row per particle")
    if not np.isfinite(array).all():
        raise InputError(f"{name}: values that are not finite; expected numbers; leave these rows out")
    return array if shape is None else np.array(np.broadcast_to(array, shape))
