"""measurements.zarr: what was measured of every particle, how, and which particle it was. Layout: docs/formats.md."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
import zarr
from jaxtyping import Float, Float32, Float64

from cryoprior.errors import InputError
from cryoprior.io.formats.columns import OPTICS_GROUP, PIXEL_SIZE, optics_rows
from cryoprior.io.geometry import table_ctf, table_poses
from cryoprior.io.half import Baseline, HalfDecoder, HalfEncoder
from cryoprior.io.particles import ALL, Indices
from cryoprior.io.rows import chosen_rows
from cryoprior.io.star import read_star, write_star

FORMAT = "cryoprior measurements"
VERSION = 1
CHUNK_BYTES = 4 << 20
CHUNK_ROWS = 256
DTYPES = ("float32", "float16")


@dataclass(frozen=True)
class MeasurementHeader:
    """What is true of all measurements of a file."""

    m: int
    """Numbers measured per particle."""
    box: int
    """Pixels a side of the images that were measured."""
    operator: str
    """The operator as ``name:field=value,...``, all fields given."""
    digest: str
    """The digest of the operator's arrays."""
    sigma: float
    """Standard deviation of the noise that was added to each number, in the grey scale of the input."""
    seed: int
    """Seed of that noise."""
    source: str
    """Path of the particle file that was measured."""
    particles_digest: str
    """Digest of that particle file."""
    resize: dict[str, Any] | None = None
    """How its images were brought to the box: original_box, box, method."""
    intensity: dict[str, float] | None = None
    """The affine map to the prior's grey scale, scale and offset, where it is known; y itself is not mapped."""


class MeasurementsWriter:
    """A context manager that writes measurements into a folder, usually one that ``claim_output`` yields.

    The header, which makes them readable, is written last, when all rows are there.

    Parameters
    ----------
    folder: where they go; made where it is not there.
    header: what is true of all rows.
    table, optics: the particles, one row each; the star file that goes with the measurements.
    particle_index: index of every particle in the source file, (n,).
    dtype: ``float32``, or ``float16``, whose rounding is measured and added to sigma.
    baseline: what float16 removes first; None for nothing.

    Raises
    ------
    ValueError: rows of another length, or more or fewer rows than particles.
    """

    def __init__(
        self,
        folder: Path | str,
        header: MeasurementHeader,
        table: pd.DataFrame,
        optics: pd.DataFrame,
        particle_index: np.ndarray,
        *,
        dtype: str = "float32",
        baseline: Baseline | None = None,
    ) -> None:
        if dtype not in DTYPES:
            raise InputError(f"dtype {dtype!r}: expected one of {', '.join(DTYPES)}")
        self.folder, self.header, self.n = Path(folder), header, len(table)
        self.written = 0
        self._table, self._optics = table, optics
        self._index = np.asarray(particle_index, np.int64)
        self._dtype, self._baseline = dtype, baseline

    def __enter__(self) -> MeasurementsWriter:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._root = zarr.open_group(self.folder, mode="a", zarr_format=3)
        rows = max(1, min(CHUNK_ROWS, self.n, CHUNK_BYTES // (4 * self.header.m)))
        self._y = self._array("y", (self.n, self.header.m), self._dtype, rows)
        self._array("particle_index", (self.n,), "int64", self.n)[:] = self._index
        self._half = self._open_half(rows) if self._dtype == "float16" else None
        return self

    def write(self, y: Float[np.ndarray, "b m"]) -> None:
        """Append the measurements of the next particles, (b, m)."""
        stop = self.written + len(y)
        if y.shape[1:] != (self.header.m,) or stop > self.n:
            raise ValueError(f"rows {y.shape} after {self.written}; opened for ({self.n}, {self.header.m})")
        rows = slice(self.written, stop)
        if self._half is None:
            self._y[rows] = np.asarray(y, np.float32)
        else:
            self._y[rows], self._scale[rows], self._level[rows] = self._half.encode(y, self._index[rows])
        self.written = stop

    @property
    def rounding(self) -> float:
        """Return the root mean square of the rounding so far, in the grey scale of the input; 0 for float32."""
        return self._half.rounding if self._half else 0.0

    def finish(self) -> None:
        """Write the star file and the header, which make the folder readable; leaving the context calls it."""
        if self.written != self.n:
            raise ValueError(f"{self.written} rows written; opened for {self.n}")
        write_star(self.folder / "particles.star", self._table, self._optics)
        attributes: dict[str, Any] = {"format": FORMAT, "version": VERSION, "n": self.n, "dtype": self._dtype}
        self._root.attrs.update({**attributes, **vars(self.header), "rounding": self.rounding})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()

    def _array(self, name: str, shape: tuple[int, ...], dtype: str, rows: int) -> Any:
        chunks = (max(rows, 1), *shape[1:])
        return self._root.create_array(name, shape=shape, chunks=chunks, dtype=dtype, compressors=None)

    def _open_half(self, rows: int) -> HalfEncoder:
        baseline = self._baseline or Baseline.nothing(self.header.m)
        self._array("baseline_group", baseline.group.shape, "int32", len(baseline.group))[:] = baseline.group
        weights = self._array("baseline_weight", baseline.weight.shape, "float32", 1)
        weights[:] = baseline.weight
        self._scale = self._array("scale", (self.n,), "float32", self.n)
        self._level = self._array("baseline_level", (self.n, baseline.groups), "float32", rows)
        return HalfEncoder(baseline)


class Measurements:
    """Measurements on disk: the header's fields, the particles, and ``y`` by particle.

    ``sigma`` is the standard deviation of all noise on y, that of float16 rounding included; ``sigma_added`` is the
    noise that the measurement added.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._root = _open(self.path)
        attributes = dict(self._root.attrs)
        names = MeasurementHeader.__dataclass_fields__
        self.header = MeasurementHeader(**{name: attributes[name] for name in names})
        self.n, self.dtype = int(attributes["n"]), str(attributes["dtype"])
        self.rounding = float(attributes["rounding"])
        self.m, self.box, self.seed = self.header.m, self.header.box, self.header.seed
        self.operator_spec, self.digest = self.header.operator, self.header.digest
        self.source, self.particles_digest = self.header.source, self.header.particles_digest
        self.sigma_added = self.header.sigma
        self.sigma = math.hypot(self.header.sigma, self.rounding)
        self.particle_index: np.ndarray = np.asarray(self._root["particle_index"][:])
        blocks = read_star(self.path / "particles.star")
        self.particles: tuple[pd.DataFrame, pd.DataFrame] = (blocks["particles"], blocks["optics"])
        self._y = self._root["y"]
        if self._y.shape != (self.n, self.m) or len(self.particles[0]) != self.n:
            raise InputError(
                f"{self.path}: y of {self._y.shape} and {len(self.particles[0])} particles; expected {self.n} rows of "
                f"{self.m}; the file is damaged: measure again"
            )
        self._half = self._half_decoder() if self.dtype == "float16" else None
        self._places = np.arange(self.n)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, key: int | Indices) -> Measurements:
        """Return the measurements of the particles that an index, a slice, a list or a mask chooses; no row is read.

        ``measurements[:8].y()`` is the array of the first eight rows. IndexError for a particle outside.
        """
        rows, view = chosen_rows(self.n, key), copy(self)
        table, optics = self.particles
        view.n, view.particles = len(rows), (table.iloc[rows].reset_index(drop=True), optics)
        view.particle_index, view._places = self.particle_index[rows], self._places[rows]
        return view

    def __repr__(self) -> str:
        made = f"{self.n} x {self.m} numbers by {self.operator_spec.partition(':')[0]}, box {self.box}"
        return f"Measurements({self.path.name}: {made}, sigma {self.sigma:.3g})"

    @property
    def pixel_size(self) -> Float64[np.ndarray, " n"]:
        """Return the pixel size of every particle in angstrom, (n,), at the box that was measured."""
        table, optics = self.particles
        rows = optics_rows(self.path, table, optics) if OPTICS_GROUP in table.columns else np.zeros(self.n, int)
        return np.asarray(optics[PIXEL_SIZE].to_numpy(np.float64)[rows])

    def poses(self) -> tuple[Float64[np.ndarray, "n 3"], Float64[np.ndarray, "n 2"]] | None:
        """Return rot, tilt, psi in degrees, (n, 3), and rlnOriginX, YAngst in angstrom, (n, 2); None without angles."""
        return table_poses(self.particles[0])

    def ctf_parameters(self) -> dict[str, Float64[np.ndarray, " n"]] | None:
        """Return the CTF parameters by name, each (n,), or None without defocus; see :func:`table_ctf`."""
        return table_ctf(self.path, *self.particles)

    def y(self, indices: Indices = ALL) -> Float32[np.ndarray, "b m"]:
        """Return the measurements of the particles at these places, all by default, (b, m) float32.

        Raises
        ------
        InputError: a place outside the file.
        """
        places = np.arange(self.n)[indices] if isinstance(indices, slice) else np.asarray(indices, np.int64).reshape(-1)
        if len(places) and (places.min() < 0 or places.max() >= self.n):
            raise InputError(f"{self.path}: particle {places.max()} asked for; expected 0 to {self.n - 1}")
        particles, places = self.particle_index[places], self._places[places]
        stored = _rows(self._y, places)
        if self._half is None:
            return np.asarray(stored, np.float32)
        scale, level = _rows(self._root["scale"], places), _rows(self._root["baseline_level"], places)
        return self._half.decode(stored, scale, level, particles)

    def check_operator(self, digest: str) -> None:
        """Raise InputError unless the operator that is about to be used has the arrays that measured this file."""
        if digest != self.digest:
            raise InputError(
                f"{self.path}: measured with operator digest {self.digest[:12]}, found {digest[:12]} for "
                f"{self.operator_spec}; the operator has changed; measure again, or use the version that measured"
            )

    def _half_decoder(self) -> HalfDecoder:
        group, weight = self._root["baseline_group"], self._root["baseline_weight"]
        return HalfDecoder(Baseline(np.asarray(group[:]), np.asarray(weight[:])))


def read_measurements(path: Path | str) -> Measurements:
    """Return the measurements in the folder ``path``; no row is read yet.

    Raises
    ------
    InputError: no such folder, not measurements, of a later version, unfinished or damaged.
    """
    return Measurements(path)


def _open(path: Path) -> Any:
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; expected measurements (.zarr); run cryoprior measure")
    if not (path / "zarr.json").is_file():
        raise InputError(f"{path}: no zarr.json in it; expected measurements (.zarr); run cryoprior measure")
    try:
        root: Any = zarr.open_group(path, mode="r", zarr_format=3)
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{path}: not a zarr 3 group: {error}; measure again") from error
    attributes = dict(root.attrs)
    if attributes.get("format") != FORMAT:
        raise InputError(f"{path}: no measurements: format {attributes.get('format')!r}; expected {FORMAT!r}")
    if attributes.get("version") != VERSION:
        raise InputError(f"{path}: version {attributes.get('version')}; expected {VERSION}; update cryoprior")
    wanted = [*MeasurementHeader.__dataclass_fields__, "n", "dtype", "rounding"]
    missing = [name for name in wanted if name not in attributes]
    missing += [name for name in ("y", "particle_index") if name not in root]
    missing += [] if (path / "particles.star").is_file() else ["particles.star"]
    if missing:
        raise InputError(f"{path}: without {', '.join(missing)}; the folder is damaged; measure again")
    return root


def _rows(array: Any, places: np.ndarray) -> np.ndarray:
    if len(places) and np.array_equal(places, np.arange(places[0], places[0] + len(places))):
        return np.asarray(array[int(places[0]) : int(places[0]) + len(places)])
    return np.asarray(array.oindex[places])
