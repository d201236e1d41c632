"""measurements.zarr: what was measured of every particle, how, and which particle it was. Layout: docs/formats.md."""

from __future__ import annotations

import logging
import math
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32, Float64, UInt64

from cryoprior.errors import InputError
from cryoprior.io.formats.columns import OPTICS_GROUP, PIXEL_SIZE, optics_rows
from cryoprior.io.geometry import table_ctf, table_poses
from cryoprior.io.half import Baseline, HalfDecoder
from cryoprior.io.identity import Particles
from cryoprior.io.measurement_header import IMAGE_DIGEST, PARTICLES, check_version, read_header
from cryoprior.io.packing import row_bytes
from cryoprior.io.particles import ALL, Indices
from cryoprior.io.rounded import stored_levels
from cryoprior.io.rows import chosen_rows
from cryoprior.io.seals import SEAL, Seal
from cryoprior.io.star import read_star
from cryoprior.io.stored_arrays import NODE, REMEDY, StoredArray, read_node
from cryoprior.output.stored_json import read_json

MOST_PARTICLES = 10**9
"""More particles than any stack holds: a larger index is damage."""
MOST_SETS = 10**6
MOST_DIGESTS = 2

log = logging.getLogger("cryoprior")


class Measurements:
    """Measurements on disk: the header's fields, the particles, and ``y`` by particle.

    ``sigma`` is the standard deviation of all noise on y, that of rounding included; ``sigma_added`` is the noise that
    the measurement added. ``bits`` are those of a packed number, None for numbers of a floating-point type; ``levels``
    are what its codes stand for.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        attributes, self._seal = _open(self.path)
        stored = read_header(self.path, attributes)
        self.header, self.n, self.dtype, self.rounding = stored.header, stored.n, stored.dtype, stored.rounding
        self.m, self.box, self.seed = self.header.m, self.header.box, self.header.seed
        self.operator_spec, self.digest = self.header.operator, self.header.digest
        self.source, self.particles_digest = self.header.source, self.header.particles_digest
        self.sigma_added = float(self.header.sigma)
        self.sigma = math.hypot(self.header.sigma, self.rounding)
        self.bits = stored.bits
        width, kind = (self.m, self.dtype) if self.bits is None else (row_bytes(self.m, self.bits), "uint8")
        self._y = self._array("y", kind, (self.n, width))
        self.particle_index: np.ndarray = _checked_index(self.path, self._array("particle_index", "int64", (self.n,)))
        self.particles: tuple[pd.DataFrame, pd.DataFrame] = self._read_particles()
        self._half = self._half_decoder() if self.dtype == "float16" else None
        self.levels = None if self.bits is None else stored_levels(self._all_of, self.path, self.m, self.bits)
        if self.levels is not None and len(self.levels.kind) > MOST_SETS:
            raise InputError(f"{self.path}: levels of {len(self.levels.kind)} mask sets; {REMEDY}")
        self._places = np.arange(self.n)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, key: int | Indices) -> Measurements:
        """Return the measurements of the particles that an index, a slice, a list or a mask chooses; no row is read.

        ``measurements[:8].y()`` is the array of the first eight rows. IndexError for a particle outside.
        """
        rows, view = chosen_rows(self.n, key), copy(self)
        table, optics = self.particles
        view.__dict__.pop("image_digests", None)  # those of the rows before
        view.n, view.particles = len(rows), (table.iloc[rows].reset_index(drop=True), optics)
        view.particle_index, view._places = self.particle_index[rows], self._places[rows]
        return view

    def __repr__(self) -> str:
        made = f"{self.n} x {self.m} numbers by {self.operator_spec.partition(':')[0]}, box {self.box}"
        return f"Measurements({self.path.name}: {made}, sigma {self.sigma:.3g})"

    @property
    def bytes_per_particle(self) -> float:
        """Return the bytes that y and what undoes its rounding take on disk by particle, without what all share."""
        own = [self._y] if self._half is None else [self._y, self._scale, self._level]
        return float(sum(array.row_bytes for array in own))

    @property
    def identified(self) -> Particles:
        """Return what names the particles that were measured."""
        return Particles(self.path, self.particles[0], Path(self.source))

    @property
    def pixel_size(self) -> Float64[np.ndarray, " n"]:
        """Return the pixel size of every particle in angstrom, (n,), at the box that was measured."""
        table, optics = self.particles
        rows = optics_rows(self.path, table, optics) if OPTICS_GROUP in table.columns else np.zeros(self.n, int)
        return np.asarray(optics[PIXEL_SIZE].to_numpy(np.float64)[rows])

    def poses(self) -> tuple[Float64[np.ndarray, "n 3"], Float64[np.ndarray, "n 2"]] | None:
        """Return rot, tilt, psi in degrees, (n, 3), and rlnOriginX, YAngst in angstrom, (n, 2); None without angles.

        Raises
        ------
        InputError: an angle or an origin that is not finite; nothing that turns by it would end.
        """
        poses = table_poses(self.particles[0])
        bad = np.zeros(self.n, bool) if poses is None else ~np.isfinite(np.hstack(poses)).all(axis=1)
        if bad.any():
            raise InputError(
                f"{self.path / PARTICLES}: row {int(bad.argmax()) + 1} has an angle or an origin that is not finite; "
                f"expected numbers; {REMEDY}"
            )
        return poses

    def ctf_parameters(self) -> dict[str, np.ndarray] | None:
        """Return the parameters of the transfer by name, n rows each; see :func:`table_ctf`."""
        return table_ctf(self.path, *self.particles)

    def y(self, indices: Indices = ALL) -> Float32[np.ndarray, "b m"]:
        """Return the measurements of the particles at these places, all by default, (b, m) float32.

        Raises
        ------
        InputError: a place outside the file, numbers that are not finite, or a chunk that is not what was written.
        """
        y = self.unchecked_y(indices)
        bad = ~np.isfinite(y).all(axis=1)
        if bad.any():
            place = int(self._chosen(indices)[bad][0])
            raise InputError(
                f"{self.path}: row {place} holds values that are not finite (particle "
                f"{int(self.particle_index[place]) + 1} of {self.source}); expected numbers; leave this particle out "
                "and measure again"
            )
        return y

    def unchecked_y(self, indices: Indices = ALL) -> Float32[np.ndarray, "b m"]:
        """Return what :meth:`y` returns, whatever the numbers are: for who looks for all that is wrong."""
        places = self._chosen(indices)
        particles, places = self.particle_index[places], self._places[places]
        stored = self._y.rows(places)
        if self.levels is not None:
            return self.levels.decode(stored, particles)
        if self._half is None:
            return np.asarray(stored, np.float32)
        return self._half.decode(stored, self._scale.rows(places), self._level.rows(places), particles)

    @cached_property
    def image_digests(self) -> UInt64[np.ndarray, "n k"] | None:
        """Return the digests of the images that were measured, (n, k); None where the file has none.

        The first is of the image on disk, the second, where there is one, of the image at the measured box.
        """
        if not (self.path / IMAGE_DIGEST).is_dir():
            return None
        stored = self._array(IMAGE_DIGEST, "uint64", (self._y.shape[0], None))
        if stored.shape[1] > MOST_DIGESTS:
            raise InputError(f"{self.path}: {stored.shape[1]} digests by image; expected 1 or 2; {REMEDY}")
        return stored.rows(self._places)

    def check_operator(self, digest: str) -> None:
        """Raise InputError unless the operator that is about to be used has the arrays that measured this file."""
        if digest != self.digest:
            raise InputError(
                f"{self.path}: measured with operator digest {self.digest[:12]}, found {digest[:12]} for "
                f"{self.operator_spec}; the operator has changed; measure again, or use the version that measured"
            )

    def _chosen(self, indices: Indices) -> np.ndarray:
        if isinstance(indices, slice):
            return np.arange(self.n)[indices]
        places = np.asarray(indices, np.int64).reshape(-1)
        if len(places) and (places.min() < 0 or places.max() >= self.n):
            raise InputError(f"{self.path}: particle {places.max()} asked for; expected 0 to {self.n - 1}")
        return places

    def _array(self, name: str, dtype: str, shape: tuple[int | None, ...], *, sparse: bool = False) -> StoredArray:
        return StoredArray(self.path, name, dtype, shape, self._seal, sparse=sparse and self._seal is None)

    def _all_of(self, name: str, dtype: str, shape: tuple[int | None, ...]) -> np.ndarray:
        return self._array(name, dtype, shape).all()

    def _read_particles(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        star = self.path / PARTICLES
        if not star.is_file():
            raise InputError(f"{star}: no ordinary file; {REMEDY}")
        if self._seal is not None:
            self._seal.check(PARTICLES, star.read_bytes())
        blocks = read_star(star)
        absent = [name for name in ("particles", "optics") if name not in blocks]
        if absent:
            raise InputError(f"{star}: without data_{', data_'.join(absent)}; {REMEDY}")
        if len(blocks["particles"]) != self.n:
            raise InputError(
                f"{self.path}: y of {self._y.shape} and {len(blocks['particles'])} particles; expected {self.n} rows "
                f"of {self.m}; the file is damaged: measure again"
            )
        return blocks["particles"], blocks["optics"]

    def _half_decoder(self) -> HalfDecoder:
        """Return what undoes float16; its arrays may lack chunks of zeros in files of version 1."""
        group = self._array("baseline_group", "int32", (self.m,), sparse=True).all()
        blocks = int(group.max()) + 1
        if group.min() < 0 or blocks > self.m:
            raise InputError(f"{self.path}: blocks {group.min()} to {blocks - 1} of {self.m} numbers; {REMEDY}")
        weight = self._array("baseline_weight", "float32", (None, self.m), sparse=True)
        if weight.shape[0] > MOST_SETS:
            raise InputError(f"{self.path}: {weight.shape[0]} mask sets; expected at most {MOST_SETS}; {REMEDY}")
        self._scale = self._array("scale", "float32", (self.n,))
        self._level = self._array("baseline_level", "float32", (self.n, blocks), sparse=True)
        return HalfDecoder(Baseline(np.asarray(group, np.int32), np.asarray(weight.all(), np.float32)))


def read_measurements(path: Path | str) -> Measurements:
    """Return the measurements in the folder ``path``; no row is read yet.

    Raises
    ------
    InputError: no such folder, not measurements, of a later version, unfinished or damaged.
    """
    return Measurements(path)


def _open(path: Path) -> tuple[dict[str, Any], Seal | None]:
    """Return the attributes of the group, and the digests of its files; None, with a warning, for version 1."""
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; expected measurements (.zarr); run cryoprior measure")
    if not (path / NODE).is_file():
        raise InputError(f"{path}: no {NODE} in it; expected measurements (.zarr); run cryoprior measure")
    node = read_json(path / NODE, "measurements (.zarr)", "measure again")
    attributes = node.get("attributes")
    if node.get("zarr_format") != 3 or node.get("node_type") != "group" or not isinstance(attributes, dict):
        raise InputError(f"{path}: not a zarr 3 group; expected measurements (.zarr); measure again")
    check_version(path, attributes)
    seal = Seal.read(path)
    wanted = ["y", "particle_index", PARTICLES, *([SEAL] if attributes["version"] > 1 and seal is None else [])]
    missing = [name for name in wanted if not (path / name).exists()]
    if missing:
        raise InputError(f"{path}: without {', '.join(missing)}; the folder is damaged; measure again")
    if seal is None:
        log.warning("%s: measured by an older version, without digests: damage to it cannot be seen", path)
    else:
        read_node(path / NODE, path, seal)
    return attributes, seal


def _checked_index(path: Path, stored: StoredArray) -> np.ndarray:
    index = stored.all().astype(np.int64)
    if index.min() < 0 or index.max() > MOST_PARTICLES:
        raise InputError(
            f"{path}: particle_index {index.min()} to {index.max()}; expected 0 to {MOST_PARTICLES}; {REMEDY}"
        )
    numbers, counts = np.unique(index, return_counts=True)
    if len(numbers) < len(index):
        raise InputError(f"{path}: particle_index names particle {numbers[counts > 1][0]} twice; {REMEDY}")
    return index
