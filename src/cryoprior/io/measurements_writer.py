"""Writes measurements.zarr: rows as they are measured, then the particles, the header, and the digests of all of it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt64

from cryoprior.errors import InputError
from cryoprior.io.compressors import COMPRESSORS, NONE, Compressor
from cryoprior.io.half import Baseline, HalfEncoder
from cryoprior.io.measurement_header import DTYPES, IMAGE_DIGEST, PARTICLES, MeasurementHeader, header_attributes
from cryoprior.io.packing import row_bytes
from cryoprior.io.rounded import ARRAYS, NumberLevels, RoundingEncoder, level_arrays
from cryoprior.io.seals import content_digest, write_seal
from cryoprior.io.star import write_star
from cryoprior.io.stored_arrays import NODE, ArrayWriter
from cryoprior.output.stored_json import write_json

CHUNK_BYTES = 4 << 20
CHUNK_ROWS = 256
PACKED_ROWS = 4096
"""Rows of a few bits are short: more of them in a chunk keep the files few."""


class MeasurementsWriter:
    """A context manager that writes measurements into a folder, usually one that ``claim_output`` yields.

    The header and the digests, which make them readable, are written last, when all rows are there.

    Parameters
    ----------
    folder: where they go; made where it is not there.
    header: what is true of all rows.
    table, optics: the particles, one row each; the star file that goes with the measurements.
    particle_index: index of every particle in the source file, (n,).
    dtype: ``float32``, or ``float16``, whose rounding is measured and added to sigma.
    baseline: what float16 removes first; None for nothing.
    encoder: rounds to levels and packs in place of a ``dtype``; what it changed is measured and added to sigma.
    digests: how many digests of its image each particle comes with; see :mod:`cryoprior.io.digests`.
    compressor: of y: none, gzip or zstd.

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
        encoder: RoundingEncoder | None = None,
        digests: int = 0,
        compressor: str = NONE,
    ) -> None:
        if dtype not in DTYPES:
            raise InputError(f"dtype {dtype!r}: expected one of {', '.join(DTYPES)}")
        if compressor not in (NONE, *COMPRESSORS):
            raise InputError(f"compressor {compressor!r}: expected one of {', '.join((NONE, *COMPRESSORS))}")
        self._compressor = COMPRESSORS.get(compressor)
        self.folder, self.header, self.n = Path(folder), header, len(table)
        self.written = 0
        self._table, self._optics = table, optics
        self._index = np.asarray(particle_index, np.int64)
        self._dtype, self._baseline, self._digests = "packed" if encoder else dtype, baseline, digests
        self._encoder = encoder
        self._arrays: dict[str, ArrayWriter] = {}

    def __enter__(self) -> MeasurementsWriter:
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = max(1, min(CHUNK_ROWS, CHUNK_BYTES // (4 * self.header.m)))
        if self._encoder is None:
            self._open("y", (self.n, self.header.m), self._dtype, rows, self._compressor)
        else:
            self._open_packed(self._encoder.levels)
        self._open("particle_index", (self.n,), "int64", self.n).append(self._index)
        if self._digests:
            self._open(IMAGE_DIGEST, (self.n, self._digests), "uint64", self.n)
        self._half = self._open_half(rows) if self._dtype == "float16" else None
        return self

    def write(self, y: Float[np.ndarray, "b m"], digests: UInt64[np.ndarray, "b k"] | None = None) -> None:
        """Append the measurements of the next particles, (b, m), and the digests of their images, (b, k)."""
        stop = self.written + len(y)
        if y.shape[1:] != (self.header.m,) or stop > self.n:
            raise ValueError(f"rows {y.shape} after {self.written}; opened for ({self.n}, {self.header.m})")
        known = (0,) if digests is None else digests.shape[1:]
        if known != (self._digests,) or (digests is not None and len(digests) != len(y)):
            raise ValueError(f"digests {known} of {len(y)} rows; opened for {self._digests} by row")
        if digests is not None:
            self._arrays[IMAGE_DIGEST].append(digests)
        if self._encoder is not None:
            self._arrays["y"].append(self._encoder.encode(y, self._index[self.written : stop]))
        elif self._half is None:
            self._arrays["y"].append(np.asarray(y, np.float32))
        else:
            stored, scale, level = self._half.encode(y, self._index[self.written : stop])
            for name, values in (("y", stored), ("scale", scale), ("baseline_level", level)):
                self._arrays[name].append(values)
        self.written = stop

    @property
    def rounding(self) -> float:
        """Return the root mean square of the rounding so far, in the grey scale of the input; 0 for float32."""
        encoder = self._encoder or self._half
        return encoder.rounding if encoder else 0.0

    @property
    def gain(self) -> float:
        """Return the slope of rounded on true numbers so far; 1 but for levels that do not fit."""
        return 1.0 if self._encoder is None else self._encoder.gain

    @property
    def bytes_per_particle(self) -> float:
        """Return the bytes that y and what undoes its rounding take on disk by particle, without what all share."""
        own = [self._arrays[name] for name in ("y", "scale", "baseline_level") if name in self._arrays]
        return float(sum(array.row_bytes for array in own))

    def finish(self) -> None:
        """Write star file, header and digests, which make the folder readable; leaving the context calls it."""
        if self.written != self.n:
            raise ValueError(f"{self.written} rows written; opened for {self.n}")
        write_star(self.folder / PARTICLES, self._table, self._optics)
        digests = {PARTICLES: content_digest((self.folder / PARTICLES).read_bytes())}
        for array in self._arrays.values():
            digests |= array.digests
        bits = None if self._encoder is None else self._encoder.levels.bits
        attributes = header_attributes(self.header, self.n, self._dtype, self.rounding, bits)
        group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        digests[NODE] = content_digest(write_json(self.folder / NODE, group))
        write_seal(self.folder, digests)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()

    def _open(
        self, name: str, shape: tuple[int, ...], dtype: str, rows: int, compressor: Compressor | None = None
    ) -> ArrayWriter:
        self._arrays[name] = ArrayWriter(self.folder, name, shape, dtype, rows, compressor)
        return self._arrays[name]

    def _open_packed(self, levels: NumberLevels) -> None:
        width = row_bytes(levels.m, levels.bits)
        rows = max(1, min(PACKED_ROWS, CHUNK_BYTES // width))
        self._open("y", (self.n, width), "uint8", rows, self._compressor)
        for name, values in level_arrays(levels).items():
            self._open(name, values.shape, ARRAYS[name], len(values)).append(values)

    def _open_half(self, rows: int) -> HalfEncoder:
        baseline = self._baseline or Baseline.nothing(self.header.m)
        self._open("baseline_group", baseline.group.shape, "int32", len(baseline.group)).append(baseline.group)
        self._open("baseline_weight", baseline.weight.shape, "float32", rows).append(baseline.weight)
        self._open("scale", (self.n,), "float32", self.n)
        self._open("baseline_level", (self.n, baseline.groups), "float32", rows)
        return HalfEncoder(baseline)
