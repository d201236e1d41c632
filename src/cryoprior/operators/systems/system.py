"""What an operator does with one mask set: A = U diag(s) V^T, applied without forming A."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

#: A singular value below this fraction of the set's largest counts as zero. Exactly dependent binary rows give about
#: 1e-15, a square Bernoulli block at K = 32 down to 1e-6, and that must keep its rank; below 1e-7 the rounding of a
#: float32 measurement is as large as what the coordinate tells.
RANK_TOLERANCE = 1e-7


@dataclass(frozen=True)
class System(ABC):
    """The singular system of one mask set, as tensors of one dtype on one device.

    V is zero where s is zero, so that ``synthesise(analyse(x))`` is the projection onto the measured subspace.
    """

    @property
    @abstractmethod
    def values(self) -> Float[Tensor, " r"]:
        """Return the singular values s, zero where padded or dependent."""

    @abstractmethod
    def analyse(self, x: Float[Tensor, "b box box"]) -> Float[Tensor, "b r"]:
        """Return V^T x."""

    @abstractmethod
    def synthesise(self, z: Float[Tensor, "b r"]) -> Float[Tensor, "b box box"]:
        """Return V z."""

    @abstractmethod
    def coordinates(self, y: Float[Tensor, "b m"]) -> Float[Tensor, "b r"]:
        """Return S^+ U^T y."""

    @abstractmethod
    def uncoordinates(self, z: Float[Tensor, "b r"]) -> Float[Tensor, "b m"]:
        """Return U S z."""

    def forward(self, x: Float[Tensor, "b box box"]) -> Float[Tensor, "b m"]:
        """Return A x."""
        return self.uncoordinates(self.analyse(x))

    def adjoint(self, y: Float[Tensor, "b m"]) -> Float[Tensor, "b box box"]:
        """Return A^T y."""
        return self.synthesise(self.values**2 * self.coordinates(y))

    def row_norms(self, m: int) -> Float[Tensor, " m"]:
        """Return the norm of each of the m rows of A."""
        total, r = self.values.new_zeros(m), len(self.values)
        for start in range(0, r, 256):
            places = torch.arange(start, min(start + 256, r))
            unit = self.values.new_zeros(len(places), r)
            unit[torch.arange(len(places)), places] = 1.0
            total += self.uncoordinates(unit).square().sum(0)
        return total.sqrt()

    @cached_property
    def complete(self) -> bool:
        """Return whether no singular value is zero; asked of the device once."""
        return bool((self.values > 0).all())

    def fourier_diagonal(self) -> Float[Tensor, "box half"] | None:
        """Return the eigenvalues of A^T A by rfft2 frequency, or None where the FFT does not diagonalise it."""
        return None

    def groups(self) -> Int[Tensor, " r"]:
        """Return a number for every coordinate, equal for those that are parts of one complex measurement."""
        return torch.arange(len(self.values))

    @property
    def nbytes(self) -> int:
        """Return the bytes of all tensors."""
        return sum(t.untyped_storage().nbytes() for t in self._tensors().values())

    def to(self, like: Tensor) -> System:
        """Return the same system in the dtype and on the device of a tensor; integer tensors keep their dtype."""
        moved = {
            name: t.to(like.device, like.dtype if t.is_floating_point() else t.dtype)
            for name, t in self._tensors().items()
        }
        return dataclasses.replace(self, **moved)

    def _tensors(self) -> dict[str, Tensor]:
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: value for name, value in fields.items() if isinstance(value, Tensor)}


def invert(s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return 1/s, and 0 where s is 0."""
    return torch.where(s > 0, 1 / s.clamp_min(torch.finfo(s.dtype).tiny), torch.zeros_like(s))
