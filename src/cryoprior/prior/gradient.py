"""The derivative of a denoiser, for solvers that differentiate through the network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.prior.denoiser import Denoiser, MeteredDenoiser

Pullback = Callable[[Float[Tensor, "b box box"]], Float[Tensor, "b box box"]]


def linearise(
    prior: Denoiser, x: Float[Tensor, "b box box"], tau: Float[Tensor, "b"]
) -> tuple[Float[Tensor, "b box box"], Pullback]:
    """Return D(x, tau) and the map v -> J^T v, J the derivative of D with respect to x.

    The first costs a forward evaluation, the map a backward one, and may be asked once: what the forward evaluation
    kept for it is gone then. No image's derivative involves another image.
    """
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        found = prior(leaf, tau)

    def pullback(v: Float[Tensor, "b box box"]) -> Float[Tensor, "b box box"]:
        def ask() -> Tensor:
            return torch.autograd.grad(found, leaf, v)[0]

        return prior.backward(ask, v) if isinstance(prior, MeteredDenoiser) else ask()

    return found.detach(), pullback
