"""Random measurement operators of both families, on which a prior learns to answer for any of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cryoprior.errors import InputError
from cryoprior.operators import Fourier, Operator, Pixel

COMPRESSION = (1.15, 16.0)
HEAVY = 16
"""Blocks of this many pixels a side and more take one mask set: their singular systems are large."""


KINDS = {"block": "blocks", "rows": "rows", "pattern": "patterns", "symmetry": "symmetries"}


@dataclass(frozen=True)
class OperatorFamily:
    """Which operators a prior learns on.

    blocks: K of pixel masks. rows: their kinds. patterns, symmetries: of Fourier masks.
    compression: least and largest C, drawn log-uniformly. noisy: share of operators that add noise to y.
    """

    blocks: tuple[int, ...] = (2, 4, 8, 16, 32)
    rows: tuple[str, ...] = ("hadamard", "bernoulli")
    patterns: tuple[str, ...] = ("uniform", "ring", "spoke")
    symmetries: tuple[str, ...] = ("hermitian", "published")
    compression: tuple[float, float] = COMPRESSION
    noisy: float = 0.4

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> OperatorFamily:
        """Return the family whose fields were stored as JSON."""
        kinds: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
        return cls(**kinds)

    @classmethod
    def like(cls, operator: Operator) -> OperatorFamily:
        """Return the family of one operator's kind alone; InputError for controls, which leave nothing to infer."""
        if not set(operator.kind) <= set(KINDS) or not operator.kind:
            raise InputError(
                f"operator {operator.name!r}: a control; expected pixel or fourier masks to learn from; "
                "train on particles"
            )
        only: dict[str, Any] = dict.fromkeys(KINDS.values(), ())
        only |= {KINDS[key]: (value,) for key, value in operator.kind.items()}
        return cls(**only, compression=(operator.compression, operator.compression))

    def draw(self, rng: np.random.Generator, box: int) -> Operator:
        """Return one operator for images of this box."""
        pixel = bool(self.rows and self._fitting(box))
        fourier = bool(self.patterns and self.symmetries)
        if not pixel and not fourier:
            blocks = ", ".join(map(str, self.blocks))
            raise InputError(f"box {box}: blocks of {blocks} pixels do not divide it; leave fewer operators out")
        return self._pixel(rng, box) if pixel and (not fourier or rng.random() < 0.5) else self._fourier(rng, box)

    def knows(self, operator: Operator) -> bool:
        """Return whether an operator is of a kind that this family holds."""
        inside = operator.compression <= 1.25 * self.compression[1]
        kind = operator.kind.items()
        return inside and bool(kind) and all(value in getattr(self, KINDS.get(key, ""), ()) for key, value in kind)

    def without(self, names: Sequence[str]) -> OperatorFamily:
        """Return the family without the kinds named, for example ``block=8`` or ``pattern=ring``.

        Raises
        ------
        InputError: a name that is no kind of this family, or no operator left.
        """
        kept: dict[str, Any] = asdict(self)
        for name in names:
            key, _, value = name.partition("=")
            kinds = kept.get(KINDS.get(key, ""), ())
            if value not in map(str, kinds):
                raise InputError(f"{name!r}: no kind of operator; expected one of {', '.join(self._names())}")
            kept[KINDS[key]] = tuple(kind for kind in kinds if str(kind) != value)
        if not (kept["blocks"] and kept["rows"]) and not (kept["patterns"] and kept["symmetries"]):
            raise InputError(f"{', '.join(names)}: no operator is left to train on; leave fewer out")
        return OperatorFamily(**kept)

    def _names(self) -> list[str]:
        return [f"{key}={kind}" for key, field in KINDS.items() for kind in getattr(self, field)]

    def _fitting(self, box: int) -> tuple[int, ...]:
        return tuple(k for k in self.blocks if box % k == 0 and k < box)

    def _compression(self, rng: np.random.Generator, most: float) -> float:
        low, high = self.compression
        return float(math.exp(rng.uniform(math.log(low), math.log(min(high, most)))))

    def _pixel(self, rng: np.random.Generator, box: int) -> Pixel:
        block = int(rng.choice(self._fitting(box)))
        masks = max(1, round(block**2 / self._compression(rng, block**2)))
        rows = str(rng.choice(self.rows))
        keep_ones = bool(rng.random() < 0.85)
        dense = rows == "bernoulli" or not keep_ones
        sets = 1 if block >= HEAVY and dense else int(rng.choice((1, 4)))
        return Pixel(
            box=box,
            seed=int(rng.integers(2**31)),
            sets=sets,
            block=block,
            masks=masks,
            rows=rows,  # type: ignore[arg-type]
            keep_ones=keep_ones,
        )

    def _fourier(self, rng: np.random.Generator, box: int) -> Fourier:
        pattern, symmetry = str(rng.choice(self.patterns)), str(rng.choice(self.symmetries))
        ring = pattern == "ring"
        return Fourier(
            box=box,
            seed=int(rng.integers(2**31)),
            sets=int(rng.choice((1, 16))),
            compression=self._compression(rng, self.compression[1]),
            pattern=pattern,  # type: ignore[arg-type]
            symmetry=symmetry,  # type: ignore[arg-type]
            weight=str(rng.choice(("printed", "gaussian"))) if ring else None,  # type: ignore[arg-type]
            v=box * float(rng.uniform(0.08, 0.25)) if ring else None,
        )
