"""Rows of the 0/1 Sylvester matrix, and their singular system in closed form by the fast Hadamard transform."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn.functional import pad

from cryoprior.operators.systems.system import System


@dataclass(frozen=True)
class HadamardRows:
    """Which rows of (1 + H) / 2 each block has, and how H's columns are permuted there."""

    chosen: Int[np.ndarray, "blocks k"]
    columns: Int[np.ndarray, "blocks pixels"]

    def masks(self) -> UInt8[np.ndarray, "blocks k pixels"]:
        """Return the rows themselves."""
        matrix = ((scipy.linalg.hadamard(self.columns.shape[1]) + 1) // 2).astype(np.uint8)
        return np.ascontiguousarray(matrix[self.chosen[:, :, None], self.columns[:, None, :]])


def draw_hadamard(rng: np.random.Generator, blocks: int, masks: int, pixels: int, *, keep_ones: bool) -> HadamardRows:
    """Return rows drawn per block without repetition, and a permutation of the columns.

    With ``keep_ones`` the all-ones row comes first in every block and the other rows are drawn from the rest.
    """
    first = int(keep_ones)
    drawn = np.argsort(rng.random((blocks, pixels - first)), axis=1)[:, : masks - first] + first
    chosen = np.concatenate([np.zeros((blocks, first), dtype=drawn.dtype), drawn], axis=1)
    return HadamardRows(chosen, np.argsort(rng.random((blocks, pixels)), axis=1))


@dataclass(frozen=True)
class HadamardSystem(System):
    """The singular system of Hadamard rows that begin with the all-ones row; y and z are block-major.

    With t_i the orthonormal Hadamard coefficients of a block, y_0 = K t_0 and y_i = K (t_0 + t_i) / 2. A reflection of
    y_1, y_2, ... that takes their sum to one axis leaves a 2 x 2 matrix of it and y_0, and K / 2 for the rest. So no
    block needs an SVD, all products are with K x K matrices, and a mask set keeps indices alone.

    Parameters
    ----------
    box, side: pixels a side of the image and of a block.
    s: singular values of every block, (k,).
    gather, spread: where in the image each permuted pixel of each block lies, and the inverse, (n,).
    chosen, source: where among all coefficients the kept ones lie, (m,), and the inverse, m where not kept, (n,).
    hadamard: the orthonormal matrix of half the order, (side, side).
    axis: normal of the reflection, (k - 1,); left, right: U and V^T of the 2 x 2 matrix.
    """

    box: int
    side: int
    s: Float[Tensor, " k"]
    gather: Int[Tensor, " n"]
    spread: Int[Tensor, " n"]
    chosen: Int[Tensor, " m"]
    source: Int[Tensor, " n"]
    hadamard: Float[Tensor, "side side"]
    axis: Float[Tensor, " w"]
    left: Float[Tensor, "2 2"]
    right: Float[Tensor, "2 2"]

    @property
    def values(self) -> Float[Tensor, " r"]:
        """Return the singular values of all blocks, block-major."""
        return self.s.repeat((self.box // self.side) ** 2)

    def forward(self, x: Float[Tensor, "b box box"]) -> Float[Tensor, "b m"]:
        """Return the sums over the masks."""
        t = self._coefficients(x)
        return self.side * torch.cat([t[..., :1], (t[..., :1] + t[..., 1:]) / 2], dim=-1).flatten(1)

    def adjoint(self, y: Float[Tensor, "b m"]) -> Float[Tensor, "b box box"]:
        """Return the masks weighted by y."""
        y = self._by_block(y) * self.side
        first = y[..., :1] + y[..., 1:].sum(dim=-1, keepdim=True) / 2
        return self._image(torch.cat([first, y[..., 1:] / 2], dim=-1))

    def analyse(self, x: Float[Tensor, "b box box"]) -> Float[Tensor, "b r"]:
        """Return V^T x."""
        return _turn(self._reflect(self._coefficients(x)), self.right).flatten(1)

    def synthesise(self, z: Float[Tensor, "b r"]) -> Float[Tensor, "b box box"]:
        """Return V z."""
        return self._image(self._reflect(_turn(self._by_block(z), self.right.T)))

    def coordinates(self, y: Float[Tensor, "b m"]) -> Float[Tensor, "b r"]:
        """Return S^-1 U^T y."""
        return (_turn(self._reflect(self._by_block(y)), self.left.T) / self.s).flatten(1)

    def uncoordinates(self, z: Float[Tensor, "b r"]) -> Float[Tensor, "b m"]:
        """Return U S z."""
        return self._reflect(_turn(self._by_block(z) * self.s, self.left)).flatten(1)

    def _coefficients(self, x: Tensor) -> Tensor:
        t = self._transform(x.flatten(1).index_select(1, self.gather))
        return self._by_block(t.index_select(1, self.chosen))

    def _image(self, t: Tensor) -> Tensor:
        pixels = self._transform(pad(t.flatten(1), (0, 1)).index_select(1, self.source))
        return pixels.index_select(1, self.spread).reshape(-1, self.box, self.box)

    def _transform(self, x: Tensor) -> Tensor:
        # H of order K^2 is the Kronecker square of H of order K: two products with a K x K matrix.
        squares = x.reshape(-1, self.side, self.side)
        return ((squares @ self.hadamard).mT @ self.hadamard).mT.reshape(x.shape)

    def _reflect(self, y: Tensor) -> Tensor:
        rest = y[..., 1:]
        return torch.cat([y[..., :1], rest - 2 * (rest @ self.axis)[..., None] * self.axis], dim=-1)

    def _by_block(self, y: Tensor) -> Tensor:
        return y.reshape(len(y), (self.box // self.side) ** 2, len(self.s))


def decompose_hadamard(rows: HadamardRows, box: int, side: int) -> HadamardSystem:
    """Return the singular system of rows whose first is all ones, float64."""
    blocks, k = rows.chosen.shape
    w, c = k - 1, float(side)
    axis = torch.full((w,), 1 / math.sqrt(max(w, 1)), dtype=torch.float64)
    axis[:1] -= 1
    axis /= axis.norm().clamp_min(torch.finfo(torch.float64).tiny)
    pair = torch.tensor([[c, 0], [c * math.sqrt(w) / 2, c / 2]], dtype=torch.float64)
    left, pair_values, right = torch.linalg.svd(pair)
    s = torch.full((k,), c / 2, dtype=torch.float64)
    s[:2] = pair_values if w else c
    gather = np.take_along_axis(_block_pixels(box, side), rows.columns.argsort(axis=1), axis=1).ravel()
    chosen = (np.arange(blocks)[:, None] * side**2 + rows.chosen).ravel()
    source = np.full(box**2, len(chosen))
    source[chosen] = np.arange(len(chosen))
    matrix = torch.from_numpy(scipy.linalg.hadamard(side) / math.sqrt(side))
    return HadamardSystem(
        box,
        side,
        s,
        gather=torch.from_numpy(gather),
        spread=torch.from_numpy(gather.argsort()),
        chosen=torch.from_numpy(chosen),
        source=torch.from_numpy(source),
        hadamard=matrix,
        axis=axis,
        left=left,
        right=right,
    )


def _turn(z: Tensor, matrix: Tensor) -> Tensor:
    """Return z with the matrix applied to its first two numbers; a single number stays."""
    if z.shape[-1] == 1:
        return z
    return torch.cat([z[..., :2] @ matrix.T, z[..., 2:]], dim=-1)


def _block_pixels(box: int, side: int) -> Int[np.ndarray, "blocks pixels"]:
    across = box // side
    flat = np.arange(box**2).reshape(across, side, across, side)
    return flat.transpose(0, 2, 1, 3).reshape(across**2, side**2)
