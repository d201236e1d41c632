"""Controls of the same size as a compressed measurement: the whole image, binned, cropped in Fourier space, rounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.operators.base import Operator
from cryoprior.operators.masks import frequencies
from cryoprior.operators.shell_bands import ShellBands
from cryoprior.operators.systems.blocks import BlockSystem
from cryoprior.operators.systems.frequencies import FrequencySystem, decompose_filter
from cryoprior.operators.systems.system import System


@dataclass(frozen=True)
class IdentitySystem(System):
    """Every pixel is its own coordinate, row by row."""

    box: int
    ones: Float[Tensor, " n"]

    @property
    def values(self) -> Float[Tensor, " r"]:
        """Return ones."""
        return self.ones

    def analyse(self, x: Float[Tensor, "b box box"]) -> Float[Tensor, "b r"]:
        """Return the pixels row by row."""
        return x.reshape(len(x), -1)

    def synthesise(self, z: Float[Tensor, "b r"]) -> Float[Tensor, "b box box"]:
        """Return the image of these pixels."""
        return z.reshape(len(z), self.box, self.box)

    def coordinates(self, y: Float[Tensor, "b m"]) -> Float[Tensor, "b r"]:
        """Return y."""
        return y

    def uncoordinates(self, z: Float[Tensor, "b r"]) -> Float[Tensor, "b m"]:
        """Return z."""
        return z

    def fourier_diagonal(self) -> Float[Tensor, "box half"]:
        """Return ones."""
        return self.ones.new_ones(self.box, self.box // 2 + 1)


@dataclass(frozen=True, kw_only=True)
class Identity(Operator):
    """Every pixel is measured, row by row."""

    aligned: ClassVar[bool] = True

    @property
    def m(self) -> int:
        """Return the number of pixels."""
        return self.n

    @property
    def r(self) -> int:
        """Return the number of pixels."""
        return self.n

    @property
    def compression(self) -> float:
        """Return 1."""
        return 1.0

    @property
    def nominal(self) -> str:
        """Return in words that nothing is left out."""
        return "every pixel"

    def arrays(self, index: int) -> tuple[np.ndarray, ...]:
        """Return the box, all that defines the operator."""
        return (np.array([self.box], dtype=np.int64),)

    def system(self, index: int) -> IdentitySystem:
        """Return the pixels as coordinates."""
        return IdentitySystem(self.box, torch.ones(self.n, dtype=torch.float64))


@dataclass(frozen=True, kw_only=True)
class Bin(Operator):
    """Means over blocks of ``factor`` x ``factor`` pixels, row by row: the image on a coarser grid, in its grey scale.

    Parameters
    ----------
    factor: pixels a side of a block; it divides the box. The compression is its square.
    """

    factor: int
    aligned: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.factor < 1 or self.box % self.factor:
            factors = ", ".join(str(k) for k in range(2, self.box + 1) if self.box % k == 0)
            raise InputError(f"bin: factor {self.factor} does not divide box {self.box}; expected one of {factors}")

    @property
    def m(self) -> int:
        """Return the number of blocks."""
        return (self.box // self.factor) ** 2

    @property
    def r(self) -> int:
        """Return the number of blocks."""
        return self.m

    @property
    def compression(self) -> float:
        """Return the pixels of a block."""
        return float(self.factor**2)

    @property
    def nominal(self) -> str:
        """Return the block in words."""
        return f"means of {self.factor}x{self.factor} pixels"

    def arrays(self, index: int) -> tuple[np.ndarray, ...]:
        """Return box and factor, all that defines the operator."""
        return (np.array([self.box, self.factor], dtype=np.int64),)

    def system(self, index: int) -> BlockSystem:
        """Return one coordinate per block, s = 1 / factor."""
        pixels = self.factor**2
        ones = torch.ones(1, 1, pixels, dtype=torch.float64)
        values = torch.full((1, 1), 1 / self.factor, dtype=torch.float64)
        return BlockSystem(self.box, self.factor, ones / pixels, ones[..., :1], values, ones / self.factor)


@dataclass(frozen=True, kw_only=True)
class Crop(ShellBands):
    """The low Fourier frequencies of the image, those that an image of ``size`` pixels a side holds.

    The box stays. Of an even size the frequencies at its own edge are left out, as a real image of that size holds only
    one of each two: (size - 1)^2 real numbers. Their order is that of :class:`FrequencySystem`.

    Parameters
    ----------
    size: pixels a side of the smaller image, at most the box. The nominal compression is (box / size)^2.
    """

    size: int
    aligned: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.size <= self.box:
            raise InputError(f"crop: size {self.size} of box {self.box}; expected 1 to {self.box}")

    @property
    def m(self) -> int:
        """Return the real numbers kept."""
        return int(np.count_nonzero(self._filter()))

    @property
    def r(self) -> int:
        """Return the real numbers kept."""
        return self.m

    @property
    def compression(self) -> float:
        """Return (box / size)^2."""
        return (self.box / self.size) ** 2

    @property
    def nominal(self) -> str:
        """Return the crop in words."""
        return f"Fourier crop of {self.box} to {self.size} pixels a side"

    def arrays(self, index: int) -> tuple[np.ndarray, ...]:
        """Return box and size, all that defines the operator."""
        return (np.array([self.box, self.size], dtype=np.int64),)

    def system(self, index: int) -> FrequencySystem:
        """Return the singular system of the window."""
        return decompose_filter(self._filter(), self.m)

    def _filter(self) -> Float[np.ndarray, "box box"]:
        reach = self.box if self.size == self.box else (self.size - 1) // 2
        ky, kx = frequencies(self.box)
        kept = np.maximum(np.abs(ky), np.abs(kx)) <= reach
        return np.asarray(kept, dtype=float).reshape(self.box, self.box)


@dataclass(frozen=True, kw_only=True)
class Quantize(Operator):
    """Every pixel, rounded: :class:`Identity` with ``bits``, which every operator has.

    Parameters
    ----------
    bits: per pixel, 1 to 8. The nominal compression is 32 / bits.
    """

    bits: int = field()  # without the default of the field that it replaces
    aligned: ClassVar[bool] = True

    @property
    def m(self) -> int:
        """Return the number of pixels."""
        return self.n

    @property
    def r(self) -> int:
        """Return the number of pixels."""
        return self.n

    @property
    def compression(self) -> float:
        """Return 32 / bits."""
        return 32 / self.bits

    @property
    def nominal(self) -> str:
        """Return the levels in words."""
        return f"{self.bits} of 32 bits per pixel"

    def arrays(self, index: int) -> tuple[np.ndarray, ...]:
        """Return the box, all that defines A."""
        return (np.array([self.box], dtype=np.int64),)

    def system(self, index: int) -> IdentitySystem:
        """Return the pixels as coordinates."""
        return IdentitySystem(self.box, torch.ones(self.n, dtype=torch.float64))
