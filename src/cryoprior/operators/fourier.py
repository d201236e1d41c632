"""Random subsets of the Fourier coefficients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float

from cryoprior.errors import InputError
from cryoprior.operators.masks import draw_full_plane, draw_pairs, partners, ring_order, spoke_order
from cryoprior.operators.shell_bands import ShellBands
from cryoprior.operators.systems.frequencies import FrequencySystem, decompose_filter
from cryoprior.random import numpy_stream

PATTERNS = ("uniform", "ring", "spoke")
LEAST_WIDTH = 0.01
"""Pixels: of a narrower weight of rings nothing is left in floating point."""


@dataclass(frozen=True, kw_only=True)
class Fourier(ShellBands):
    """n / C Fourier coefficients of the image are kept, as real numbers; see :class:`FrequencySystem` for their order.

    Parameters
    ----------
    compression: C, at least 1; n / C, rounded, is met exactly: the last ring or spoke is drawn in part.
    pattern: ``uniform``; ``ring``, of 100 rings of equal area that reach the corners, low frequencies preferred;
        ``spoke``, of 100 lines through the centre, or of 100 radii where ``published`` (the paper's figures are above
        those of uniform masks; lines cannot reach them, as they see no more than n / C coefficients).
    symmetry: ``hermitian`` (ours): conjugate pairs are drawn together, C counts real numbers and the mean of the image
        is always kept. ``published``: n / C coefficients of the full plane without regard to pairs, and the real part
        of the inverse transform, so that frequency k is multiplied by d = (M(k) + M(-k)) / 2, that is 0, 1/2 or 1, and
        uniform masks see 1 - (1 - 1/C)^2 of a real image. y holds the numbers where d > 0, padded with zeros where
        the mask sets have different counts.
    weight: of a ring of middle radius r pixels in the draw: ``printed``, e^(-r / 2v^2), as the paper prints it (nearly
        flat; the default for ``published``), ``gaussian``, e^(-r^2 / 2v^2) (the default for ``hermitian``), or
        ``code``, the same twice as wide, as in the paper's public code.
    v: width of the ring weight in pixels; box / 8 where not given, as printed, and box / 4 for ``code``.

    Source: the paper, section 3, "Fourier masks".
    """

    compression: float
    pattern: Literal["uniform", "ring", "spoke"] = "uniform"
    symmetry: Literal["hermitian", "published"] = "hermitian"
    weight: Literal["printed", "gaussian", "code"] | None = None
    v: float | None = None
    aligned: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, choices in (
            ("pattern", PATTERNS),
            ("symmetry", ("hermitian", "published")),
            ("weight", ("printed", "gaussian", "code", None)),
        ):
            if getattr(self, name) not in choices:
                expected = ", ".join(filter(None, choices))
                raise InputError(f"fourier: {name}={getattr(self, name)!r}; expected one of {expected}")
        if not 1 <= self.compression <= self.n:
            raise InputError(
                f"fourier: compression={self.compression}; expected 1 to {self.n}, the pixels of a box of {self.box}"
            )
        if self.pattern != "ring" and (self.weight is not None or self.v is not None):
            raise InputError(f"fourier: weight and v with pattern={self.pattern}; pass pattern=ring, or leave them out")
        if self.v is not None and not LEAST_WIDTH <= self.v < math.inf:
            raise InputError(f"fourier: v={self.v}; expected a width of at least {LEAST_WIDTH}, in pixels")

    @property
    def count(self) -> int:
        """Return n / C, rounded."""
        return round(self.n / self.compression)

    @property
    def m(self) -> int:
        """Return the real numbers of the largest mask set."""
        return max(self._counts)

    @property
    def r(self) -> int:
        """Return as many coordinates as real numbers."""
        return self.m

    @property
    def nominal(self) -> str:
        """Return n / C in words."""
        kind = "real numbers" if self.symmetry == "hermitian" else "coefficients of the full plane"
        return f"{self.count} of {self.n} {kind}"

    @property
    def kind(self) -> dict[str, int | str]:
        """Return pattern and symmetry."""
        return {"pattern": self.pattern, "symmetry": self.symmetry}

    def mask(self, index: int) -> Bool[np.ndarray, "box box"]:
        """Return the mask over the full plane as it was drawn for one set, zero frequency first, (box, box)."""
        rng = numpy_stream(self.seed, "operators/fourier", index)
        order = np.zeros(self.n, dtype=np.int64)
        if self.pattern == "ring":
            order = ring_order(rng, self.box, self._ring_weight)
        elif self.pattern == "spoke":
            order = spoke_order(rng, self.box, radii=self.symmetry == "published")
        if self.symmetry == "published":
            return draw_full_plane(rng, order, self.count).reshape(self.box, self.box)
        return draw_pairs(rng, order, self.count, self.box).reshape(self.box, self.box)

    def filter(self, index: int) -> Float[np.ndarray, "box box"]:
        """Return d(k) = (M(k) + M(-k)) / 2 over the full plane, (box, box)."""
        mask = self.mask(index).ravel().astype(float)
        d: Float[np.ndarray, " n"] = (mask + mask[partners(self.box)]) / 2
        return d.reshape(self.box, self.box)

    def arrays(self, index: int) -> tuple[np.ndarray, ...]:
        """Return the mask, eight coefficients to the byte."""
        return (np.packbits(self.mask(index), axis=-1),)

    def system(self, index: int) -> FrequencySystem:
        """Return the singular system of the filter."""
        return decompose_filter(self.filter(index), self.m)

    @cached_property
    def _counts(self) -> tuple[int, ...]:
        return tuple(int(np.count_nonzero(self.filter(index))) for index in range(self.sets))

    def _ring_weight(self, r: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        weight = self.weight or ("gaussian" if self.symmetry == "hermitian" else "printed")
        v = self.box / (4 if weight == "code" else 8) if self.v is None else self.v
        return np.asarray(np.exp(-(r if weight == "printed" else r**2) / (2 * v**2)))
