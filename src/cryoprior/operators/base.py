"""The contract of an operator: y = A x, its adjoint, and what its singular system gives in closed form."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.operators.level_fields import check_levels
from cryoprior.operators.systems.cache import SystemCache
from cryoprior.operators.systems.system import System

Particles = Sequence[int] | None

MOST_LOOKED_AT = 64
"""Mask sets from which rank and condition are told."""
MOST_VALUES = 1024
"""Mask sets whose singular values are kept in float64."""

MOST_BOX, MOST_SETS = 4096, 1_000_000
"""Beyond what is ever measured: a larger number is a slip or damage, and would take memory and hours."""
MOST_MASK_BITS = 2**36
"""Of the masks of all sets: what a digest of them reads within minutes."""


@runtime_checkable
class Rows(Protocol):
    """What measures, and what adds up what was measured."""

    def forward(self, x: Float[Tensor, "b box box"]) -> Float[Tensor, "b m"]:
        """Return A x."""
        ...

    def adjoint(self, y: Float[Tensor, "b m"]) -> Float[Tensor, "b box box"]:
        """Return A^T y."""
        ...


@dataclass(frozen=True, kw_only=True)
class Operator(ABC):
    """A measurement of images, defined by its fields alone; dtype and device follow the input.

    Particle i of a stack is measured with mask set ``i mod sets``. ``particles`` in every method are the indices in
    the whole stack of the members of the batch; it may be left out only where ``sets`` is 1. White noise of standard
    deviation sigma on y is white noise of sigma / s on the coordinates z.

    Parameters
    ----------
    box: pixels a side of the images.
    seed: of the mask sets.
    sets: how many mask sets are drawn.
    bits: to which every number is rounded, 1 to 8; None for numbers as they are. Methods are those of A all the same:
        :mod:`cryoprior.operators.rounding` rounds, and says what noise that is.
    mean, deviation: grey value and deviation of a pixel, for which the levels are made: a number whose row of A is a
        has the mean of A 1 and the deviation |a|. Several deviations, one for each of :attr:`bands`, are joined by "/".
        None where they are still to be fitted to images.

    Raises
    ------
    InputError: a field out of its range; images, measurements or particle indices that do not fit the operator.
    """

    box: int
    seed: int = 0
    sets: int = 1
    bits: int | None = None
    mean: float | None = None
    deviation: tuple[float, ...] | None = None
    linear: ClassVar[bool] = True
    aligned: ClassVar[bool] = False
    """Whether every number is one coordinate times its singular value, so that noise on y is noise on z by itself."""
    _cache: SystemCache[Any] = field(default_factory=SystemCache, init=False, repr=False, compare=False)
    _values: dict[int, Float[Tensor, " r"]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, most in (("box", MOST_BOX), ("sets", MOST_SETS)):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise InputError(f"{self.name}: {name}={value}; expected 1 to {most}")
        if self.sets * self.box**2 > MOST_MASK_BITS:
            raise InputError(
                f"{self.name}: {self.sets} mask sets for a box of {self.box}; expected at most "
                f"{MOST_MASK_BITS // self.box**2}; take fewer <sets>: particles share them in turn"
            )
        check_levels(self)

    @property
    def name(self) -> str:
        """Return the name under which the operator is registered."""
        return type(self).__name__.lower()

    @abstractmethod
    def arrays(self, index: int) -> tuple[np.ndarray, ...]:
        """Return the arrays that define mask set ``index``, in the order in which the digest reads them."""

    @abstractmethod
    def system(self, index: int) -> System:
        """Return the singular system of mask set ``index``, float64 on the CPU, built anew."""

    @property
    @abstractmethod
    def m(self) -> int:
        """Return the length of y."""

    @property
    @abstractmethod
    def r(self) -> int:
        """Return the length of z, the largest rank a mask set can have."""

    if TYPE_CHECKING:  # a field in some operators, a property in others: an abstract property would forbid the field

        @property
        def compression(self) -> float:
            """Return the nominal compression, n / kept numbers as the fields state it."""

    @property
    @abstractmethod
    def nominal(self) -> str:
        """Return in words how the nominal compression comes about."""

    @property
    def kind(self) -> dict[str, int | str]:
        """Return the fields by which priors tell operators apart; empty where nothing is left to infer."""
        return {}

    @property
    def shared_block(self) -> int:
        """Return the pixels a side of the blocks whose level several numbers share; the box where it is the image."""
        return self.box

    def forward(self, x: Float[Tensor, "b box box"], particles: Particles = None) -> Float[Tensor, "b m"]:
        """Return y = A x, (b, m)."""
        return self._over_sets(lambda part, x: part.forward(x), self._images(x), particles, self._measuring)

    def adjoint(self, y: Float[Tensor, "b m"], particles: Particles = None) -> Float[Tensor, "b box box"]:
        """Return A^T y, (b, box, box)."""
        rows = self._rows(y, self.m, "measurements")
        return self._over_sets(lambda part, y: part.adjoint(y), rows, particles, self._measuring)

    def pinv(self, y: Float[Tensor, "b m"], particles: Particles = None) -> Float[Tensor, "b box box"]:
        """Return A+ y, the image of least norm among those that fit y best, (b, box, box)."""
        return self.synthesise(self.coordinates(y, particles), particles)

    def project(self, x: Float[Tensor, "b box box"], particles: Particles = None) -> Float[Tensor, "b box box"]:
        """Return A+ A x, the part of x that A sees, (b, box, box)."""
        return self._over_sets(self._project, self._images(x), particles)

    def solve(
        self, rhs: Float[Tensor, "b box box"], weight: float, particles: Particles = None
    ) -> Float[Tensor, "b box box"]:
        """Return (A^T A + weight I)^-1 rhs, (b, box, box); the weight is above 0 and divides the rounding of rhs."""
        if not weight > 0:
            raise InputError(f"{self.name}: weight {weight} in solve; expected more than 0, or use pinv")

        def solve_set(system: System, rhs: Tensor) -> Tensor:
            z = system.analyse(rhs)
            seen = system.synthesise(z / (system.values**2 + weight))
            return seen if self._sees_all(system) else seen + (rhs - system.synthesise(z)) / weight

        return self._over_sets(solve_set, self._images(rhs), particles)

    def analyse(self, x: Float[Tensor, "b box box"], particles: Particles = None) -> Float[Tensor, "b r"]:
        """Return z = V^T x, (b, r), zero where the singular value is zero."""
        return self._over_sets(lambda system, x: system.analyse(x), self._images(x), particles)

    def synthesise(self, z: Float[Tensor, "b r"], particles: Particles = None) -> Float[Tensor, "b box box"]:
        """Return V z, (b, box, box)."""
        return self._over_sets(lambda system, z: system.synthesise(z), self._rows(z, self.r, "coordinates"), particles)

    def coordinates(self, y: Float[Tensor, "b m"], particles: Particles = None) -> Float[Tensor, "b r"]:
        """Return z = S^+ U^T y, (b, r): V^T x plus noise of variance sigma^2 / s^2, and 0 where s is 0."""
        return self._over_sets(
            lambda system, y: system.coordinates(y), self._rows(y, self.m, "measurements"), particles
        )

    def uncoordinates(self, z: Float[Tensor, "b r"], particles: Particles = None) -> Float[Tensor, "b m"]:
        """Return y = U S z, (b, m)."""
        return self._over_sets(
            lambda system, z: system.uncoordinates(z), self._rows(z, self.r, "coordinates"), particles
        )

    def singular_values(self, particles: Particles = None, *, like: Tensor | None = None) -> Float[Tensor, "b r"]:
        """Return s by particle, (b, r), or (1, r) without particles, in the dtype and on the device of ``like``."""
        like = torch.empty(0) if like is None else like
        sets = self._sets(particles, 1 if particles is None else len(particles))
        found = {index: self._set_values(index, like, sets) for index in set(sets)}
        return torch.stack([found[index] for index in sets])

    def groups(self, particles: Particles) -> Int[Tensor, "b r"]:
        """Return a number for every coordinate, (b, r), equal for those of a particle that were measured as one."""
        sets = self._sets(particles, 1 if particles is None else len(particles))
        return torch.stack([self._system(index, torch.empty(0)).groups() for index in sets])

    def fourier_diagonal(
        self, particles: Particles = None, *, like: Tensor | None = None
    ) -> Float[Tensor, "b box half"] | None:
        """Return A^T A's eigenvalue by rfft2 frequency, (b, box, box//2+1), or None where the FFT is no eigenbasis."""
        like = torch.empty(0) if like is None else like
        sets = self._sets(particles, 1 if particles is None else len(particles))
        planes = [plane for index in sets if (plane := self._system(index, like).fourier_diagonal()) is not None]
        return torch.stack(planes) if planes else None

    def values(self, index: int) -> Float[Tensor, " r"]:
        """Return the singular values of mask set ``index`` in float64, (r,)."""
        if index not in self._values:
            self._system(index, torch.empty(0))
        if index not in self._values:  # the system is still held, and its values are not
            self._keep_values(index, self.system(index))
        return self._values[index]

    @property
    def n(self) -> int:
        """Return the number of pixels of an image."""
        return self.box**2

    @cached_property
    def rank(self) -> float:
        """Return the number of nonzero singular values, mean over the mask sets, of at most 64 spread over all."""
        return float(np.mean([int((self.values(index) > 0).sum()) for index in self._looked_at]))

    @cached_property
    def singular_range(self) -> tuple[float, float]:
        """Return the smallest nonzero and the largest singular value of these mask sets."""
        kept = [s[s > 0] for s in map(self.values, self._looked_at)]
        kept = [s for s in kept if len(s)]
        if not kept:
            raise InputError(f"{self.name}: every singular value is zero; take more masks or another seed")
        return min(float(s.min()) for s in kept), max(float(s.max()) for s in kept)

    @property
    def condition(self) -> float:
        """Return the largest over the smallest nonzero singular value."""
        low, high = self.singular_range
        return high / low

    @property
    def effective_compression(self) -> float:
        """Return n / rank: pixels per image over independent numbers measured."""
        return self.n / self.rank

    @property
    def bands(self) -> int:
        """Return how many deviations the levels may have."""
        return 1

    def number_bands(self, index: int) -> Int[np.ndarray, " m"]:
        """Return of mask set ``index`` the band of every number, (m,)."""
        return np.zeros(self.m, np.int64)

    def number_norms(self, index: int) -> Float[np.ndarray, " m"]:
        """Return of mask set ``index`` the norm of every row of A, (m,)."""
        if self.aligned:
            return self.values(index).numpy()
        norms: Float[np.ndarray, " m"] = self.system(index).row_norms(self.m).numpy()
        return norms

    def frequency_bands(self) -> Int[np.ndarray, "box half"]:
        """Return the band of every rfft2 frequency, where the FFT diagonalises A^T A."""
        return np.zeros((self.box, self.box // 2 + 1), np.int64)

    @property
    def stored(self) -> float:
        """Return the real numbers of 32 bits that one particle takes on disk."""
        return self.m * (self.bits or 32) / 32

    @property
    def storage_compression(self) -> float:
        """Return 32 bits of every pixel over the bits that one particle takes on disk."""
        return self.n / self.stored

    @property
    def bytes_per_particle(self) -> int:
        """Return the bytes that the numbers of one particle take on disk."""
        return -(-self.m * (self.bits or 32) // 8)

    @property
    def set_bytes(self) -> int:
        """Return the bytes that the singular system of one mask set takes in float32."""
        return self._system(0, torch.empty(0, dtype=torch.float32)).nbytes

    @property
    def held_bytes(self) -> int:
        """Return the bytes of the singular systems that are held now."""
        return self._cache.nbytes

    def digest(self) -> str:
        """Return the sha256 of the arrays of all mask sets, 64 hexadecimal digits."""
        total = hashlib.sha256(f"{self.name}|{self.sets}".encode())
        if self.bits is not None:
            total.update(f"|{self.bits}|{self.mean!r}|{self.deviation!r}".encode())
        for index in range(self.sets):
            for array in self.arrays(index):
                total.update(f"|{array.dtype.str}|{array.shape}|".encode())
                total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()

    def _project(self, system: System, x: Tensor) -> Tensor:
        return x if self._sees_all(system) else system.synthesise(system.analyse(x))

    def _sees_all(self, system: System) -> bool:
        # Where every pixel is determined, V V^T is the identity and its matrix products are saved.
        return self.r == self.n and system.complete

    @property
    def _looked_at(self) -> list[int]:
        places = np.linspace(0, self.sets - 1, min(self.sets, MOST_LOOKED_AT)).round().astype(int)
        return [int(index) for index in places]

    def _system(self, index: int, like: Tensor, needed: Sequence[int] = ()) -> System:
        keys = [(other, like.dtype, like.device) for other in needed]
        key = (index, like.dtype, like.device)
        found: System = self._cache.get(key, lambda: self._build(index, like), keys, like.device)
        return found

    def _measuring(self, index: int, like: Tensor, needed: Sequence[int] = ()) -> Rows:
        """Return what measures with a mask set; an operator whose rows need no decomposition gives less than all."""
        return self._system(index, like, needed)

    def _build(self, index: int, like: Tensor) -> System:
        system = self.system(index)
        self._keep_values(index, system)
        return system.to(like)

    def _keep_values(self, index: int, system: System) -> None:
        while len(self._values) >= MOST_VALUES:
            del self._values[next(iter(self._values))]
        self._values[index] = system.values.clone()

    def _set_values(self, index: int, like: Tensor, needed: Sequence[int]) -> Float[Tensor, " r"]:
        values = self._values.get(index)
        if values is None:
            values = self._system(index, like, needed).values
        return values.to(like.device, like.dtype)

    def _over_sets(
        self,
        apply: Callable[[Any, Tensor], Tensor],
        x: Tensor,
        particles: Particles,
        part: Callable[[int, Tensor, Sequence[int]], Any] | None = None,
    ) -> Tensor:
        sets, part = self._sets(particles, len(x)), part or self._system
        groups = list(_positions(sets))
        needed = [index for index, _ in groups]
        if len(groups) == 1:
            return apply(part(needed[0], x, needed), x)
        parts = [apply(part(index, x, needed), x[where]) for index, where in groups]
        order = torch.tensor([position for _, where in groups for position in where], device=x.device)
        return torch.cat(parts)[order.argsort()]

    def _sets(self, particles: Particles, batch: int) -> list[int]:
        if particles is None:
            if self.sets > 1:
                raise InputError(f"{self.name}: {self.sets} mask sets, no particle indices; pass particles=")
            return [0] * batch
        if len(particles) != batch:
            raise InputError(
                f"{self.name}: {len(particles)} particle indices for a batch of {batch}; pass one for each"
            )
        return [int(particle) % self.sets for particle in particles]

    def _images(self, x: Tensor) -> Tensor:
        if x.ndim != 3 or tuple(x.shape[1:]) != (self.box, self.box):
            raise InputError(
                f"{self.name}: images of shape {tuple(x.shape)}; expected (particles, {self.box}, {self.box}): "
                "resize them, or build the operator for their box"
            )
        return x

    def _rows(self, y: Tensor, length: int, what: str) -> Tensor:
        if y.ndim != 2 or y.shape[1] != length:
            raise InputError(
                f"{self.name}: {what} of shape {tuple(y.shape)}; expected (particles, {length}): "
                "use the operator that made them"
            )
        return y


def _positions(sets: list[int]) -> Iterator[tuple[int, list[int]]]:
    for index in sorted(set(sets)) or [0]:
        yield index, [position for position, other in enumerate(sets) if other == index]
