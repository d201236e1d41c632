"""Measurements of a few bits: every number as the code of a level, which the file's own tables turn into a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16

from cryoprior.errors import InputError
from cryoprior.io.packing import pack_codes, unpack_levels
from cryoprior.io.stored_arrays import REMEDY

MOST_KINDS = 2**16


@dataclass(frozen=True, eq=False)
class NumberLevels:
    """The levels of every number: y = mean[kind] + deviation[kind] * level[code].

    Parameters
    ----------
    level: ascending, in deviations of a number, (2^bits,).
    kind: of every number, by mask set, (sets, m); numbers of one kind share mean and deviation.
    mean, deviation: of every kind, (kinds,); a deviation of 0 stands for numbers that measure nothing.
    """

    level: Float32[np.ndarray, " cells"]
    kind: UInt16[np.ndarray, "sets m"]
    mean: Float32[np.ndarray, " kinds"]
    deviation: Float32[np.ndarray, " kinds"]

    @staticmethod
    def of(
        level: Float[np.ndarray, " cells"], mean: Float[np.ndarray, "sets m"], deviation: Float[np.ndarray, "sets m"]
    ) -> NumberLevels:
        """Return the levels of numbers with these means and deviations; InputError for more than 2^16 kinds."""
        pairs, kind = np.unique(
            np.stack([mean, deviation], axis=-1).astype(np.float32).reshape(-1, 2), axis=0, return_inverse=True
        )
        if len(pairs) > MOST_KINDS:
            raise InputError(
                f"levels of {len(pairs)} kinds of numbers; expected at most {MOST_KINDS}; take fewer <sets>"
            )
        numbered = kind.reshape(mean.shape).astype(np.uint16)
        return NumberLevels(level.astype(np.float32), numbered, pairs[:, 0].copy(), pairs[:, 1].copy())

    @property
    def bits(self) -> int:
        """Return the bits of a code."""
        return (len(self.level) - 1).bit_length()

    @property
    def m(self) -> int:
        """Return the numbers of a particle."""
        return int(self.kind.shape[1])

    def decode(self, packed: UInt8[np.ndarray, "b row_bytes"], particles: np.ndarray) -> Float32[np.ndarray, "b m"]:
        """Return the measurements of these particles, (b, m)."""
        y = unpack_levels(packed, self.m, self.level)
        if len(self.kind) == 1:
            y *= self.deviation[self.kind]
            y += self.mean[self.kind]
            return y
        kind = self.kind[particles % len(self.kind)]
        return np.asarray(self.mean[kind] + self.deviation[kind] * y)

    def check(self, path: Path, bits: int) -> None:
        """Raise InputError for levels that are not ascending numbers, or kinds that are not there."""
        steps = np.diff(self.level)
        if len(self.level) != 2**bits or not np.isfinite(self.level).all() or not (steps > 0).all():
            raise InputError(f"{path}: levels {self.level[:4]} ...; expected {2**bits} numbers, ascending; {REMEDY}")
        if len(self.mean) != len(self.deviation) or int(self.kind.max()) >= len(self.mean):
            raise InputError(
                f"{path}: kind {int(self.kind.max())} of {len(self.mean)} means and {len(self.deviation)} deviations; "
                f"{REMEDY}"
            )
        if not np.isfinite(self.mean).all() or not np.isfinite(self.deviation).all() or (self.deviation < 0).any():
            raise InputError(f"{path}: means or deviations of levels that are no numbers of at least 0; {REMEDY}")


class RoundingEncoder:
    """Turns measurements into packed codes and keeps count of what rounding did to them.

    thresholds: between neighbouring levels, in deviations of a number, (2^bits - 1,).
    """

    def __init__(self, levels: NumberLevels, thresholds: Float[np.ndarray, " cells_1"]) -> None:
        self.levels, self._thresholds = levels, thresholds.astype(np.float32)
        self._squares, self._count = 0.0, 0
        self._product, self._power = 0.0, 0.0

    @property
    def rounding(self) -> float:
        """Return the root mean square of what rounding changed, over all numbers that measure something."""
        return float(np.sqrt(self._squares / self._count)) if self._count else 0.0

    @property
    def gain(self) -> float:
        """Return the slope of rounded on true numbers; 1 where they are distributed as the levels expect."""
        return self._product / self._power if self._power else 1.0

    def encode(self, y: Float[np.ndarray, "b m"], particles: np.ndarray) -> UInt8[np.ndarray, "b row_bytes"]:
        """Return the packed codes of measurements, (b, row_bytes)."""
        levels = self.levels
        kind = levels.kind[particles % len(levels.kind)]
        deviation = levels.deviation[kind]
        about = y.astype(np.float32) - levels.mean[kind]
        scaled = np.divide(about, deviation, out=np.zeros_like(about), where=deviation > 0)
        codes = np.searchsorted(self._thresholds, scaled).astype(np.uint8)
        rounded = levels.level[codes]
        self._count += int(np.count_nonzero(deviation))
        self._squares += float(np.square(deviation * (rounded - scaled), dtype=np.float64).sum())
        self._product += float(np.einsum("bm,bm", rounded, scaled, dtype=np.float64))
        self._power += float(np.einsum("bm,bm", scaled, scaled, dtype=np.float64))
        return pack_codes(codes, levels.bits)


ReadArray = Callable[[str, str, tuple[int | None, ...]], np.ndarray]
ARRAYS = {"level": "float32", "number_kind": "uint16", "kind_mean": "float32", "kind_deviation": "float32"}


def stored_levels(read: ReadArray, path: Path, m: int, bits: int) -> NumberLevels:
    """Return the levels in a group; InputError where they are none.

    read: an array of the group by name, type and shape, None for a length that only the array knows.
    """
    shapes: dict[str, tuple[int | None, ...]] = {"level": (2**bits,), "number_kind": (None, m)}
    level, kind, mean, deviation = (read(name, dtype, shapes.get(name, (None,))) for name, dtype in ARRAYS.items())
    levels = NumberLevels(
        np.asarray(level, np.float32),
        np.asarray(kind, np.uint16),
        np.asarray(mean, np.float32),
        np.asarray(deviation, np.float32),
    )
    levels.check(path, bits)
    return levels


def level_arrays(levels: NumberLevels) -> dict[str, np.ndarray]:
    """Return the arrays that :func:`stored_levels` reads back, by name."""
    values = (levels.level, levels.kind, levels.mean, levels.deviation)
    return dict(zip(ARRAYS, values, strict=True))
