"""Numbers that laws are tried on, and how near two results must be."""

from __future__ import annotations

import torch
from torch import Tensor

TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5}
"""Norm of the difference over that of the expected value."""


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return standard normal numbers, the same for the same seed in every type."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def require(holds: bool, law: str, result: object) -> None:
    """Raise AssertionError with the law in words and what was found in its place."""
    if not holds:
        raise AssertionError(f"{law}: found {result}")


def require_equal(
    result: Tensor, expected: Tensor, law: str, *, factor: float = 1.0, tolerance: float | None = None
) -> None:
    """Raise AssertionError unless shape and type are equal, and the values to rounding.

    Parameters
    ----------
    law: in words, for the message.
    factor: how many times the tolerance of the type is allowed.
    tolerance: relative, in place of that of the type.
    """
    require(result.shape == expected.shape, law, f"shape {tuple(result.shape)}, expected {tuple(expected.shape)}")
    require(result.dtype == expected.dtype, law, f"type {result.dtype}, expected {expected.dtype}")
    allowed = factor * TOLERANCE.get(result.dtype, 0.0) if tolerance is None else tolerance
    size = float(expected.double().norm()) + 1e-30
    error = float((result.double() - expected.double()).norm()) / size
    require(error <= allowed, law, f"a relative difference of {error:.3g}, expected at most {allowed:.3g}")


def require_same_product(left: Tensor, right: Tensor, scale: Tensor, law: str) -> None:
    """Raise AssertionError unless two scalar products agree to rounding, relative to the norms of their factors."""
    allowed = max(TOLERANCE[left.dtype], TOLERANCE[right.dtype]) * float(scale)
    difference = abs(float(left.double()) - float(right.double()))
    require(difference <= allowed, law, f"{float(left):.6g} and {float(right):.6g}, expected equal to {allowed:.3g}")
