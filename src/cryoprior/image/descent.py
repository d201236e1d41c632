"""Preconditioned conjugate gradients for a map within a sphere, told step by step what its equations make of it."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryoprior.image.normal_equations import NormalEquations
from cryoprior.image.shells import Shells

TINY = 1e-300
SHELL_SHARE = 0.1
"""Shells need to be solved ten times less closely than the whole: the weak ones are mostly noise."""


class Descent:
    """The search for the v within a sphere that minimises v' (W + lambda) v - 2 v' b, in the type of b.

    Whoever leads it works out W of ``asked`` and hands it over with :meth:`take`, until ``residual`` is low enough.
    Every step lowers the objective.

    Parameters
    ----------
    equations: W, or what is near it: plane waves within the sphere weigh as they say, which preconditions.
    target: b.
    ridge: lambda by shell.
    start: where to start; 0, of which W is known, where None.

    Source: Hestenes and Stiefel, J. Res. Natl. Bur. Stand. 49 (1952) 409.
    """

    def __init__(
        self,
        equations: NormalEquations,
        target: Float[Tensor, "d d d"],
        ridge: Float[Tensor, " shells"],
        start: Float[Tensor, "d d d"] | None = None,
    ) -> None:
        self._shells, self._support = Shells(equations.box, target.device), equations.support.to(target)
        self._sizes = self._shells.sizes()
        held = self._shells.spread(ridge)
        inverse = 1 / (equations.eigenvalues + held).clamp_min(TINY)
        self._held, self._inverse = held.to(target), inverse.to(target)
        self._target = self._support * target
        _, self._first = self._preconditioned(self._target)
        self.volume = torch.zeros_like(self._target) if start is None else self._support * start.to(target)
        self.asked = self.volume
        self._norm, self._left = torch.zeros(()), self._first
        self._rest: Tensor | None = None
        if start is None:
            self._begin(self._target)

    @property
    def residual(self) -> float:
        """What is left of the target as a part of it, in the norm of the preconditioner.

        In all, or a tenth of the root mean square of the shells, whichever is more: strong shells alone would hide that
        weak ones are not solved.
        """
        kept = self._first > 0
        if not bool(kept.any()):
            return 0.0
        in_all = (self._left * self._sizes).sum() / (self._first * self._sizes).sum()
        by_shell = (self._left[kept] / self._first[kept]).mean()
        return float(torch.maximum(in_all, SHELL_SHARE**2 * by_shell).sqrt())

    def take(self, image: Float[Tensor, "d d d"]) -> None:
        """Go on by W ``asked``."""
        image = self._support * (image + self._filtered(self.asked, self._held))
        if self._rest is None:  # the start was asked
            self._begin(self._target - image)
            return
        step = self._norm / (self.asked * image).sum().clamp_min(TINY)
        self.volume = self.volume + step * self.asked
        self._rest = self._rest - step * image
        preconditioned, self._left = self._preconditioned(self._rest)
        norm, before = (self._rest * preconditioned).sum(), self._norm
        self._norm, self.asked = norm, preconditioned + norm / before.clamp_min(TINY) * self.asked

    def _begin(self, rest: Float[Tensor, "d d d"]) -> None:
        self._rest = rest
        self.asked, self._left = self._preconditioned(rest)
        self._norm = (rest * self.asked).sum()

    def _preconditioned(self, volume: Tensor) -> tuple[Float[Tensor, "d d d"], Float[Tensor, " shells"]]:
        """Return the volume over its weights, and its square in that norm by shell."""
        transform = torch.fft.rfftn(volume)
        divided = transform * self._inverse
        by_shell = self._shells.mean((transform * divided.conj()).real)
        found: Tensor = torch.fft.irfftn(divided, s=volume.shape)
        return self._support * found, by_shell

    def _filtered(self, volume: Tensor, transfer: Tensor) -> Float[Tensor, "d d d"]:
        found: Tensor = torch.fft.irfftn(torch.fft.rfftn(volume) * transfer, s=volume.shape)
        return found


def measured(equations: NormalEquations) -> Bool[Tensor, "d d half"]:
    """Return whether a coefficient lies within Nyquist and in a shell that any image measured."""
    shells = Shells(equations.box, equations.kernel.device)
    return shells.inside & equations.seen[shells.index]
