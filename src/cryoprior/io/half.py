"""Measurements in float16: what all numbers of a block share is kept in float32, and the rounding is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float16, Float32, Int32


@dataclass(frozen=True)
class Baseline:
    """How much each number sees of the level of its block: y is near weight[set, i] * level[group[i]].

    Parameters
    ----------
    group: the block that each number measures, (m,), from 0.
    weight: what each number reads in an image that is 1 everywhere, by mask set, (sets, m).
    """

    group: Int32[np.ndarray, " m"]
    weight: Float32[np.ndarray, "sets m"]

    @staticmethod
    def nothing(m: int) -> Baseline:
        """Return the baseline that removes nothing from m numbers."""
        return Baseline(np.zeros(m, np.int32), np.zeros((1, m), np.float32))

    @property
    def groups(self) -> int:
        """Return the number of blocks."""
        return int(self.group.max()) + 1

    def fit(self, y: np.ndarray, particles: np.ndarray) -> Float32[np.ndarray, "b groups"]:
        """Return the level of every block that fits y best, (b, groups)."""
        weight = self.weight[particles % len(self.weight)].astype(np.float64)
        level = np.zeros((len(y), self.groups))
        power = np.zeros((len(y), self.groups))
        for row in range(len(y)):
            level[row] = np.bincount(self.group, weight[row] * y[row], self.groups)
            power[row] = np.bincount(self.group, weight[row] ** 2, self.groups)
        fitted = np.divide(level, power, out=np.zeros_like(level), where=power > 0)
        return np.asarray(fitted, np.float32)

    def expand(self, level: np.ndarray, particles: np.ndarray) -> Float32[np.ndarray, "b m"]:
        """Return what the levels alone would measure, (b, m)."""
        return np.asarray(self.weight[particles % len(self.weight)] * level[:, self.group])


class HalfEncoder:
    """Turns measurements into float16 and keeps count of the rounding."""

    def __init__(self, baseline: Baseline) -> None:
        self._decoder = HalfDecoder(baseline)
        self._squares, self._count = 0.0, 0

    @property
    def rounding(self) -> float:
        """Return the root mean square of what rounding changed, over all numbers so far."""
        return float(np.sqrt(self._squares / self._count)) if self._count else 0.0

    def encode(
        self, y: Float[np.ndarray, "b m"], particles: np.ndarray
    ) -> tuple[Float16[np.ndarray, "b m"], Float32[np.ndarray, " b"], Float32[np.ndarray, "b groups"]]:
        """Return the numbers (b, m) in units of a scale (b,) about the levels of their blocks (b, groups)."""
        baseline = self._decoder.baseline
        level = baseline.fit(y, particles)
        rest = y - baseline.expand(level, particles)
        scale = np.sqrt(np.mean(np.square(rest), axis=1, dtype=np.float64)).astype(np.float32)
        scale = np.where(scale > 0, scale, np.float32(1))  # a float16 ends at 65504
        stored = (rest / scale[:, None]).astype(np.float16)
        error = self._decoder.decode(stored, scale, level, particles).astype(np.float64) - y
        self._squares, self._count = self._squares + float(np.square(error).sum()), self._count + error.size
        return stored, scale, level


@dataclass(frozen=True)
class HalfDecoder:
    """Turns what :class:`HalfEncoder` stored into measurements."""

    baseline: Baseline

    def decode(
        self, stored: np.ndarray, scale: np.ndarray, level: np.ndarray, particles: np.ndarray
    ) -> Float32[np.ndarray, "b m"]:
        """Return the measurements, (b, m) float32."""
        about = stored.astype(np.float32) * scale[:, None]
        return np.asarray(about + self.baseline.expand(level, particles), np.float32)
