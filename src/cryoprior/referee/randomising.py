"""The test of random phases: half maps without signal beyond a shell, and what a prior makes of them.

What two prior maps of such halves have in common beyond the shell was not measured. The prior made it, of the coarser
shells or of nothing.

Source: Chen et al. 2013, Ultramicroscopy 135, 24, who randomise the phases of the particles for the same question.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.metrics.fsc import CORRECT_AFTER, fsc, randomise_phases
from cryoprior.metrics.referee import Curve

SAME = 0.98
"""FSC below the shell that half maps have with themselves after their phases beyond it were randomised."""


@dataclass(frozen=True, eq=False, repr=False)
class RandomisedPair:
    """The prior's maps of half maps whose phases are random from a shell on: their FSC, (shells,)."""

    from_shell: int
    fsc: Curve

    @property
    def first(self) -> int:
        """Return the first shell that is judged: the step in the phases leaks over two."""
        return self.from_shell + CORRECT_AFTER

    def invented_share(self, prior_fsc: Curve) -> float:
        """Return how much of the agreement of the prior's maps beyond the shell it made itself, 0 to 1."""
        made, all_of_it = float(self.fsc[self.first :].clamp_min(0).sum()), float(prior_fsc[self.first :].sum())
        return min(1.0, made / all_of_it) if all_of_it > 0 else 0.0

    def summary(self, prior_fsc: Curve) -> dict[str, Any]:
        """Return the numbers under the names that summary.json promises."""
        return {
            "from_shell": self.from_shell,
            "fsc": float(self.fsc[self.first :].mean()),
            "fsc_before": float(prior_fsc[self.first :].mean()),
            "invented_share": self.invented_share(prior_fsc),
        }

    def __repr__(self) -> str:
        return f"RandomisedPair(from shell {self.from_shell})"


def check_shell(from_shell: int, box: int) -> int:
    """Return the shell; InputError where no shell that can be judged lies beyond it."""
    last = box // 2 - CORRECT_AFTER - 1
    if not 2 <= from_shell <= last:
        raise InputError(f"<randomise_beyond> {from_shell}: expected a shell from 2 to {last} for a box of {box}")
    return from_shell


def randomised_halves(
    half_1: Float[Tensor, "d d d"], half_2: Float[Tensor, "d d d"], from_shell: int, seed: int = 0
) -> tuple[Float[Tensor, "d d d"], Float[Tensor, "d d d"]]:
    """Return the half maps with random phases from a shell on, of one stream for each half; amplitudes stay."""
    check_shell(from_shell, len(half_1))
    return randomise_phases(half_1, from_shell, seed, 0), randomise_phases(half_2, from_shell, seed, 1)


def check_same_halves(half: Float[Tensor, "d d d"], randomised: Float[Tensor, "d d d"], from_shell: int) -> None:
    """Raise InputError where a map is not the given half map with the phases randomised beyond a shell."""
    below = fsc(half, randomised)[1 : max(2, from_shell - 1)]
    if float(below.min()) < SAME:
        raise InputError(
            "<randomised>: its half maps are not these half maps with random phases; expected the folder that "
            "<randomise_beyond> wrote of the same <half1> and <half2>; write it again"
        )


def randomised_pair(
    prior_1: Float[Tensor, "d d d"],
    prior_2: Float[Tensor, "d d d"],
    from_shell: int,
    mask: Float[Tensor, "d d d"] | None = None,
) -> RandomisedPair:
    """Return what a prior made of half maps whose phases are random from a shell on, within the mask where given."""
    within = torch.ones_like(prior_1) if mask is None else mask
    return RandomisedPair(check_shell(from_shell, len(prior_1)), fsc(prior_1 * within, prior_2 * within).cpu())
