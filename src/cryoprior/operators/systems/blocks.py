"""The singular system of operators that treat every block of K x K pixels by itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor

from cryoprior.operators.systems.system import RANK_TOLERANCE, System, invert


@dataclass(frozen=True)
class BlockRows:
    """The rows of A by block, which measure without any decomposition.

    y is block-major: block (blocks row by row), then mask. A first axis of 1 means the same for every block.

    Parameters
    ----------
    box, side: pixels a side of the image and of a block.
    rows: A's rows, (blocks, k, side^2).
    """

    box: int
    side: int
    rows: Shaped[Tensor, "#blocks k pixels"]

    @property
    def nbytes(self) -> int:
        """Return the bytes of the rows."""
        return self.rows.untyped_storage().nbytes()

    def forward(self, x: Float[Tensor, "b box box"]) -> Float[Tensor, "b m"]:
        """Return the sums over the rows themselves, more exact in float32 than U S V^T x."""
        return _flatten(self._split(x) @ self.rows.to(x.dtype).mT)

    def adjoint(self, y: Float[Tensor, "b m"]) -> Float[Tensor, "b box box"]:
        """Return the rows weighted by y."""
        return self._join(self._by_block(y) @ self.rows.to(y.dtype))

    def _split(self, x: Tensor) -> Tensor:
        return rearrange(x, "b (i p) (j q) -> (i j) b (p q)", p=self.side, q=self.side)

    def _join(self, patches: Tensor) -> Tensor:
        across = self.box // self.side
        return rearrange(patches, "(i j) b (p q) -> b (i p) (j q)", i=across, p=self.side)

    def _by_block(self, y: Tensor) -> Tensor:
        return rearrange(y, "b (g k) -> g b k", g=(self.box // self.side) ** 2)


@dataclass(frozen=True)
class BlockSystem(BlockRows, System):
    """One small singular system per block, applied to all blocks in one batched product.

    z is block-major too: block, then coordinate. A first axis of 1 means the same for every block.

    Parameters
    ----------
    left, s, right: U, s and V^T of each block, r = min(k, side^2) coordinates.
    """

    left: Float[Tensor, "#blocks k r"]
    s: Float[Tensor, "#blocks r"]
    right: Float[Tensor, "#blocks r pixels"]

    @property
    def nbytes(self) -> int:
        """Return the bytes of all tensors."""
        return System.nbytes.fget(self)  # type: ignore[attr-defined, no-any-return]

    @property
    def values(self) -> Float[Tensor, " r"]:
        """Return the singular values of all blocks, block-major."""
        return self.s.expand((self.box // self.side) ** 2, -1).reshape(-1)

    def analyse(self, x: Float[Tensor, "b box box"]) -> Float[Tensor, "b r"]:
        """Return V^T x."""
        return _flatten(self._split(x) @ self.right.mT)

    def synthesise(self, z: Float[Tensor, "b r"]) -> Float[Tensor, "b box box"]:
        """Return V z."""
        return self._join(self._by_block(z) @ self.right)

    def coordinates(self, y: Float[Tensor, "b m"]) -> Float[Tensor, "b r"]:
        """Return S^+ U^T y."""
        return _flatten((self._by_block(y) @ self.left) * invert(self.s)[:, None])

    def uncoordinates(self, z: Float[Tensor, "b r"]) -> Float[Tensor, "b m"]:
        """Return U S z."""
        return _flatten((self._by_block(z) * self.s[:, None]) @ self.left.mT)


def decompose(rows: Shaped[Tensor, "blocks k pixels"], box: int, side: int) -> BlockSystem:
    """Return the singular system of any rows by one SVD per block, in float64; dependent directions are zeroed."""
    left, s, right = torch.linalg.svd(rows.to(torch.float64), full_matrices=False)
    kept = s > RANK_TOLERANCE * s.max()
    return BlockSystem(box, side, rows, left * kept[:, None], s * kept, right * kept[..., None])


def _flatten(y: Tensor) -> Tensor:
    return rearrange(y, "g b k -> b (g k)")
