"""Rows of the 0/1 Sylvester matrix, and their singular system in closed form."""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg
import torch
from jaxtyping import UInt8
from torch import Tensor

from cryoprior.operators.blocks import BlockSystem


def draw_hadamard(
    rng: np.random.Generator, blocks: int, masks: int, pixels: int, *, keep_ones: bool
) -> UInt8[np.ndarray, "blocks k pixels"]:
    """Return rows of (1 + H) / 2 for each block, drawn without repetition, H's columns permuted for each block.

    With ``keep_ones`` the all-ones row comes first in every block and the other rows are drawn from the rest.
    """
    matrix = ((scipy.linalg.hadamard(pixels) + 1) // 2).astype(np.uint8)
    first = int(keep_ones)
    drawn = np.argsort(rng.random((blocks, pixels - first)), axis=1)[:, : masks - first] + first
    chosen = np.concatenate([np.zeros((blocks, first), dtype=drawn.dtype), drawn], axis=1)
    columns = np.argsort(rng.random((blocks, pixels)), axis=1)
    return np.ascontiguousarray(matrix[chosen[:, :, None], columns[:, None, :]])


def decompose_hadamard(rows: UInt8[Tensor, "blocks k pixels"], box: int, side: int) -> BlockSystem:
    """Return the singular system of rows whose first is all ones, float64, without an SVD of the block.

    With h_i the rows of H, a row is (h_0 + h_i) / 2 and the h_i are orthogonal with norm sqrt(pixels). A reflection Q
    that takes the first axis to 1/sqrt(w), w = k - 1, turns the w drawn rows into (sqrt(w) h_0 + g) / 2 and rows
    already orthogonal to everything else; a 2 x 2 SVD of the first two is all that is left.
    """
    k, pixels = rows.shape[1:]
    signs = 2 * rows.to(torch.float64) - 1
    if k == 1:
        one = torch.ones(1, 1, 1, dtype=torch.float64)
        return BlockSystem(box, side, rows, one, one[0] * math.sqrt(pixels), signs / math.sqrt(pixels))
    w = k - 1
    axis = torch.full((w,), 1 / math.sqrt(w), dtype=torch.float64)
    axis[0] -= 1
    reflection = torch.eye(w, dtype=torch.float64)
    if w > 1:
        axis /= axis.norm()
        reflection -= 2 * torch.outer(axis, axis)
        signs[:, 1:] -= 2 * axis[:, None] * (axis @ signs[:, 1:])[:, None]
    signs /= math.sqrt(pixels)
    pair = torch.tensor([[1, 0], [math.sqrt(w) / 2, 0.5]], dtype=torch.float64) * math.sqrt(pixels)
    turn, pair_values, pair_right = torch.linalg.svd(pair)
    signs[:, :2] = pair_right @ signs[:, :2]
    s = torch.full((1, k), math.sqrt(pixels) / 2, dtype=torch.float64)
    s[0, :2] = pair_values
    left = torch.eye(k, dtype=torch.float64)
    left[1:, 1:] = reflection
    left[:, :2] = left[:, :2] @ turn
    return BlockSystem(box, side, rows, left[None], s, signs)
