"""Conjugate gradients over a batch in which every particle stops on its own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def conjugate_gradients(
    apply: Callable[[Float[Tensor, "b r"]], Float[Tensor, "b r"]],
    rhs: Float[Tensor, "b r"],
    precondition: Callable[[Float[Tensor, "b r"]], Float[Tensor, "b r"]],
    *,
    tolerance: float,
    limit: int,
) -> Float[Tensor, "b r"]:
    """Return w with M w = rhs for a symmetric positive definite M.

    Parameters
    ----------
    apply: w -> M w, each particle for itself.
    precondition: an approximation of M^-1, symmetric positive definite, each particle for itself.
    tolerance: a particle stops when its residual is below tolerance times its right-hand side, both in the norm of
        the preconditioner. It is left alone from then on: its result does not depend on its batch mates.
    limit: iterations at most.
    """
    w = torch.zeros_like(rhs)
    residual = rhs
    scaled = precondition(residual)
    direction = scaled
    power = _dot(residual, scaled)
    goal = tolerance**2 * power
    for _ in range(limit):
        active = power > goal
        if not bool(active.any()):
            break
        image = apply(direction)
        step = torch.where(active, power / _dot(direction, image).clamp_min(_tiny(rhs)), 0)
        w = torch.addcmul(w, step, direction)
        residual = torch.addcmul(residual, -step, image)
        scaled = precondition(residual)
        previous, power = power, torch.where(active, _dot(residual, scaled), power)
        direction = torch.where(active, scaled + power / previous.clamp_min(_tiny(rhs)) * direction, direction)
    return w


def _dot(a: Float[Tensor, "b r"], b: Float[Tensor, "b r"]) -> Float[Tensor, "b 1"]:
    return (a * b).sum(dim=1, keepdim=True)


def _tiny(x: Tensor) -> float:
    return float(torch.finfo(x.dtype).tiny)
