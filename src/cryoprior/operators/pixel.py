"""Sums over random binary masks within blocks of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.operators.base import Operator, Rows
from cryoprior.operators.systems.blocks import BlockRows, decompose
from cryoprior.operators.systems.hadamard import HadamardRows, decompose_hadamard, draw_hadamard
from cryoprior.operators.systems.system import System
from cryoprior.random import numpy_stream

#: Blocks of fewer pixels a side are faster by their small dense matrices than by the fast Hadamard transform.
FAST_FROM = 8


@dataclass(frozen=True, kw_only=True)
class Pixel(Operator):
    """Each block of K x K pixels is summed under b binary masks, drawn anew per block.

    y is block-major: block (row by row), then mask.

    Parameters
    ----------
    block: K, pixels a side of a block; it divides the box.
    masks: b, at most K^2. The nominal compression is K^2 / b.
    rows: ``bernoulli``, every pixel in a mask with probability 1/2 (the paper; its blocks are often rank-deficient),
        or ``hadamard``, rows of a 0/1 Hadamard matrix (ours; K a power of two, always of full rank).
    keep_ones: keep the all-ones row, the block's sum, among the Hadamard rows; ``bernoulli`` has no such row.

    Source: the paper, section 3, "pixel masks"; Hadamard rows are ours.
    """

    block: int
    masks: int
    rows: Literal["bernoulli", "hadamard"] = "hadamard"
    keep_ones: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rows not in ("bernoulli", "hadamard"):
            raise InputError(f"pixel: rows={self.rows!r}; expected one of bernoulli, hadamard")
        if self.block < 1 or self.box % self.block:
            raise InputError(_no_fit(self.box, self.block))
        if self.rows == "hadamard" and self.block & (self.block - 1):
            raise InputError(
                f"pixel: block {self.block} with rows=hadamard; expected a power of two, or pass rows=bernoulli"
            )
        if not 1 <= self.masks <= self.block**2:
            raise InputError(
                f"pixel: masks={self.masks} in blocks of {self.block}x{self.block} pixels; "
                f"expected 1 to {self.block**2}"
            )

    @property
    def blocks(self) -> int:
        """Return the number of blocks of an image."""
        return (self.box // self.block) ** 2

    @property
    def m(self) -> int:
        """Return b sums per block."""
        return self.blocks * self.masks

    @property
    def r(self) -> int:
        """Return b coordinates per block."""
        return self.m

    @property
    def compression(self) -> float:
        """Return K^2 / b."""
        return self.block**2 / self.masks

    @property
    def nominal(self) -> str:
        """Return K^2 / b in words."""
        return f"K²/b = {self.block**2}/{self.masks}"

    @property
    def kind(self) -> dict[str, int | str]:
        """Return K and the kind of rows."""
        return {"block": self.block, "rows": self.rows}

    @property
    def shared_block(self) -> int:
        """Return K."""
        return self.block

    def masks_of(self, index: int) -> UInt8[np.ndarray, "blocks k pixels"]:
        """Return the 0/1 masks of one set, (blocks, b, K^2)."""
        if self.rows == "hadamard":
            return self._hadamard(index).masks()
        rng, shape = self._stream(index), (self.blocks, self.masks, self.block**2)
        count = int(np.prod(shape))
        return np.unpackbits(np.frombuffer(rng.bytes(-(-count // 8)), dtype=np.uint8), count=count).reshape(shape)

    def arrays(self, index: int) -> tuple[np.ndarray, ...]:
        """Return the masks, eight to the byte."""
        return (np.packbits(self.masks_of(index), axis=-1),)

    @property
    def bands(self) -> int:
        """Return one band for the sums of whole blocks, which all low frequencies enter, and one for the others."""
        return 2

    def number_bands(self, index: int) -> Int[np.ndarray, " m"]:
        """Return 0 for the sum of a whole block, else 1."""
        return np.where(self._ones(index) == self.block**2, 0, 1)

    def number_norms(self, index: int) -> Float[np.ndarray, " m"]:
        """Return the root of the number of pixels in every mask."""
        return np.sqrt(self._ones(index).astype(np.float64))

    def system(self, index: int) -> System:
        """Return one SVD per block; the closed form for large blocks of Hadamard rows with the all-ones row."""
        if self._is_fast:
            return decompose_hadamard(self._hadamard(index), self.box, self.block)
        return decompose(torch.from_numpy(self.masks_of(index)), self.box, self.block)

    def _measuring(self, index: int, like: Tensor, needed: Sequence[int] = ()) -> Rows:
        """Return the rows alone where they need no singular system: sums are taken without any SVD."""
        if (index, like.dtype, like.device) in self._cache or self._is_fast:
            return self._system(index, like, needed)
        keys = [("rows", other, like.device) for other in needed]
        found: BlockRows = self._cache.get(
            ("rows", index, like.device), lambda: self._block_rows(index, like), keys, like.device
        )
        return found

    def _block_rows(self, index: int, like: Tensor) -> BlockRows:
        return BlockRows(self.box, self.block, torch.from_numpy(self.masks_of(index)).to(like.device))

    @property
    def _is_fast(self) -> bool:
        return self.rows == "hadamard" and self.keep_ones and self.block >= FAST_FROM

    def _ones(self, index: int) -> Int[np.ndarray, " m"]:
        ones: Int[np.ndarray, " m"] = self.masks_of(index).sum(axis=-1, dtype=np.int64).ravel()
        return ones

    def _hadamard(self, index: int) -> HadamardRows:
        rng = self._stream(index)
        return draw_hadamard(rng, self.blocks, self.masks, self.block**2, keep_ones=self.keep_ones)

    def _stream(self, index: int) -> np.random.Generator:
        return numpy_stream(self.seed, "operators/pixel", index)


def _no_fit(box: int, block: int) -> str:
    blocks = ", ".join(str(k) for k in range(2, box + 1) if box % k == 0)
    boxes = [box // block * block, -(-box // block) * block] if block > 0 else []
    sizes = " or ".join(str(size) for size in boxes if size)
    remedy = f", or resize to a box of {sizes}" if sizes else ""
    return f"pixel: block {block} does not divide box {box}; expected a block among {blocks}{remedy}"
