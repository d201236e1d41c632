"""Noise levels: the grid of a variance-exploding sampler and the betas of a DDPM."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def noise_levels(
    count: int, tau_max: float, tau_min: float, rho: float, dtype: torch.dtype = torch.float64
) -> Float[Tensor, "count"]:
    """Return ``count`` noise levels from tau_max down to tau_min, evenly spaced in tau^(1/rho).

    Source: Karras et al. 2022, Eq. 5, without its final zero.
    """
    if count == 1:
        return torch.tensor([tau_min], dtype=dtype)
    progress = torch.linspace(0, 1, count, dtype=torch.float64)
    levels: Tensor = (tau_max ** (1 / rho) * (1 - progress) + tau_min ** (1 / rho) * progress) ** rho
    return levels.to(dtype)


def linear_betas(
    steps: int = 1000, first: float = 1e-4, last: float = 0.02, dtype: torch.dtype = torch.float64
) -> Float[Tensor, "steps"]:
    """Return beta_1..beta_steps of the linear DDPM schedule. Source: Ho et al. 2020, section 4."""
    return torch.linspace(first, last, steps, dtype=torch.float64).to(dtype)


def alpha_bars(betas: Float[Tensor, "steps"]) -> Float[Tensor, "steps"]:
    """Return abar_t = product of 1 - beta up to t. Source: Ho et al. 2020, Eq. 4."""
    return torch.cumprod(1 - betas, dim=0)


def ddpm_alpha_bar() -> Float[Tensor, "steps"]:
    """Return abar_1..abar_1000 of the linear schedule that DDPM checkpoints are trained with."""
    return alpha_bars(linear_betas())


def respaced_alpha_bars(steps: int, trained: int = 1000) -> Float[Tensor, "steps"]:
    """Return abar at ``steps`` levels of the linear schedule of ``trained`` levels, its last level included.

    With steps = trained it is the schedule itself; ValueError when more levels are asked than trained.
    Source: Nichol and Dhariwal 2021, section 4.
    """
    if not 1 <= steps <= trained:
        raise ValueError(f"{steps} of {trained} levels")
    index = torch.linspace(trained / steps, trained, steps, dtype=torch.float64).round().long() - 1
    return alpha_bars(linear_betas(trained))[index]


def exploding_level(alpha_bar: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return sigma = sqrt((1 - abar) / abar): x_t / sqrt(abar) is x0 + sigma e for a variance-preserving x_t."""
    return torch.sqrt((1 - alpha_bar) / alpha_bar)
