"""Every law of an operator fails on an operator that breaks it, and says which law it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cryoprior.operators import OPERATORS, Fourier, Operator, Pixel, Quantize
from cryoprior.testing import OPERATOR_LAWS, check_operator
from cryoprior.testing.operators import types_of
from kit.clipped import Clipped


@dataclass(frozen=True, kw_only=True)
class Heavier(Pixel):
    """Measures one pixel twice as strongly as its adjoint and its singular system say."""

    def forward(self, x: Tensor, particles: Any = None) -> Tensor:
        heavier = x.clone()
        heavier[:, 0, 0] *= 2
        return super().forward(heavier, particles)


@dataclass(frozen=True, kw_only=True)
class Offset(Pixel):
    """Adds 1 to every number."""

    def forward(self, x: Tensor, particles: Any = None) -> Tensor:
        return super().forward(x, particles) + 1


@dataclass(frozen=True, kw_only=True)
class Averaging(Pixel):
    """Takes the mean of the batch away."""

    def forward(self, x: Tensor, particles: Any = None) -> Tensor:
        return super().forward(x - x.mean(0), particles)


@dataclass(frozen=True, kw_only=True)
class FirstSet(Pixel):
    """Measures every particle of a batch with the mask set of the first."""

    def forward(self, x: Tensor, particles: Any = None) -> Tensor:
        return super().forward(x, [particles[0]] * len(x))


@dataclass(frozen=True, kw_only=True)
class Detached(Pixel):
    """Hides its derivative from autograd's eyes by doubling it."""

    def forward(self, x: Tensor, particles: Any = None) -> Tensor:
        y = super().forward(x, particles)
        return 2 * y - y.detach()


@dataclass(frozen=True, kw_only=True)
class WeakInverse(Pixel):
    def pinv(self, y: Tensor, particles: Any = None) -> Tensor:
        return 0.99 * super().pinv(y, particles)


@dataclass(frozen=True, kw_only=True)
class WeakProjection(Pixel):
    def project(self, x: Tensor, particles: Any = None) -> Tensor:
        return 0.99 * super().project(x, particles)


@dataclass(frozen=True, kw_only=True)
class WrongWeight(Pixel):
    def solve(self, rhs: Tensor, weight: float, particles: Any = None) -> Tensor:
        return super().solve(rhs, 1.01 * weight, particles)


@dataclass(frozen=True, kw_only=True)
class Turned(Pixel):
    """Numbers its coordinates backwards in one direction only."""

    def synthesise(self, z: Tensor, particles: Any = None) -> Tensor:
        return super().synthesise(z.flip(1), particles)

    def pinv(self, y: Tensor, particles: Any = None) -> Tensor:
        return super().synthesise(self.coordinates(y, particles), particles)


@dataclass(frozen=True, kw_only=True)
class WrongValues(Pixel):
    """Reports singular values that are not those of its matrix."""

    def singular_values(self, particles: Any = None, *, like: Tensor | None = None) -> Tensor:
        return 2 * super().singular_values(particles, like=like)


@dataclass(frozen=True, kw_only=True)
class NoDiagonal(Fourier):
    def fourier_diagonal(self, particles: Any = None, *, like: Tensor | None = None) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class HalfDiagonal(Fourier):
    def fourier_diagonal(self, particles: Any = None, *, like: Tensor | None = None) -> Tensor | None:
        found = super().fourier_diagonal(particles, like=like)
        return None if found is None else found / 2


@dataclass(frozen=True, kw_only=True)
class NoGroups(Fourier):
    """Counts the two numbers of a coefficient as two measurements."""

    def groups(self, particles: Any) -> Tensor:
        return torch.arange(self.r).expand(len(particles), -1)


@dataclass(frozen=True, kw_only=True)
class SameDigest(Pixel):
    def digest(self) -> str:
        return "0" * 64


@dataclass(frozen=True, kw_only=True)
class NewMasks(Pixel):
    """Draws other masks where there are more sets."""

    def arrays(self, index: int) -> tuple[np.ndarray, ...]:
        return (super().arrays(index)[0] + self.sets,)


@dataclass(frozen=True, kw_only=True)
class Dense(Pixel):
    """States a compression below 1."""

    @property
    def compression(self) -> float:
        return 0.5


@dataclass(frozen=True, kw_only=True)
class Bulky(Pixel):
    """Stores more numbers than it measures."""

    @property
    def stored(self) -> float:
        return 2.0 * self.m


PIXEL = {"box": 8, "block": 4, "masks": 7, "sets": 3}
FOURIER = {"box": 8, "compression": 2.0, "sets": 3}
BROKEN = [
    ("adjoint", Heavier, PIXEL, "adjoint: <A x, y> = <x, A^T y>"),
    ("gradient", Detached, PIXEL, "gradient: that of <A x, y>"),
    ("linearity", Offset, PIXEL, "linearity: A (2 x - 3 z) = 2 A x - 3 A z"),
    ("batch", Averaging, PIXEL, "batch: a particle does not depend on its batch mates"),
    ("batch", FirstSet, PIXEL, "batch: a particle does not depend on its batch mates"),
    ("pseudo-inverse", WeakInverse, PIXEL, "pseudo-inverse: A A+ A = A"),
    ("projection", WeakProjection, PIXEL, "projection: project twice is project once"),
    ("projection", WeakInverse, PIXEL, "projection: project = A+ A"),
    ("solve", WrongWeight, PIXEL, "solve: (A^T A + "),
    ("coordinates", Turned, PIXEL, "coordinates: V V^T x = A+ A x"),
    ("coordinates", WrongValues, PIXEL, "coordinates: V S^2 V^T x = A^T A x"),
    ("matrix", WrongValues, PIXEL, "matrix: the singular values"),
    ("matrix", WeakInverse, PIXEL, "matrix: A+ y"),
    ("fourier_diagonal", NoDiagonal, FOURIER, "fourier_diagonal: it is given where the FFT diagonalises A^T A"),
    ("fourier_diagonal", HalfDiagonal, FOURIER, "fourier_diagonal: |F A^T A x| = d |F x|"),
    ("groups", NoGroups, FOURIER, "groups: one group per Fourier coefficient"),
    ("text", SameDigest, PIXEL, "text: another number of mask sets, another digest"),
    ("text", NewMasks, PIXEL, "text: a mask set does not depend on how many there are"),
    ("counts", Dense, PIXEL, "counts: condition, compression >= 1"),
    ("counts", Bulky, PIXEL, "counts: 0 < stored <= m"),
]


@pytest.fixture
def registered() -> Iterator[None]:
    """Let the broken operators have names, as those of another package have."""
    for _, cls, _, _ in BROKEN:
        OPERATORS.register(cls.__name__, cls)
    yield
    OPERATORS._registered.clear()


def test_every_law_is_broken_here() -> None:
    assert {law for law, *_ in BROKEN} == set(OPERATOR_LAWS)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(("law", "cls", "fields", "words"), BROKEN, ids=lambda part: getattr(part, "__name__", None))
def test_the_law_fails_on_an_operator_that_breaks_it(
    law: str, cls: type[Operator], fields: dict[str, Any], words: str
) -> None:
    operator = cls(**fields)
    for dtype in types_of(law):
        with pytest.raises(AssertionError) as failed:
            OPERATOR_LAWS[law](operator, dtype)
        assert str(failed.value).startswith(words), failed.value
        assert ": found " in str(failed.value)
    with pytest.raises(AssertionError):
        check_operator(operator)


def test_an_operator_without_a_name_is_told_how_to_get_one() -> None:
    with pytest.raises(AssertionError, match=r"text: its text reads back .* Heavier: no registered operator"):
        OPERATOR_LAWS["text"](Heavier(**PIXEL), torch.float64)


def test_all_laws_together_in_a_small_box() -> None:
    check_operator(Pixel(**PIXEL))
    check_operator(Fourier(**FOURIER))
    check_operator(Quantize(box=8, bits=4))
    for box in (4, 64):
        with pytest.raises(AssertionError, match=f"boxes of 7 to 32 pixels: found {box}"):
            check_operator(replace(Pixel(**PIXEL), box=box))


def test_an_operator_that_is_no_matrix_is_asked_for_no_matrix() -> None:
    with pytest.raises(AssertionError, match="linearity"):
        OPERATOR_LAWS["linearity"](Clipped(box=8), torch.float64)
