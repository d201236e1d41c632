"""The one thing that solvers know of a prior: a denoiser and the power spectrum of its images."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.prior.evidence import Evidence

Pullback = Callable[[Float[Tensor, "b box box"]], Float[Tensor, "b box box"]]


@runtime_checkable
class Denoiser(Protocol):
    """A prior p(x0) over images in its own grey scale (mean 0, standard deviation 1)."""

    def __call__(self, x: Float[Tensor, "b box box"], tau: Float[Tensor, "b"]) -> Float[Tensor, "b box box"]:
        """Return E[x0 | x0 + tau e = x] for standard normal e, each particle with its own tau (grey-scale units)."""
        ...

    def spectrum(self, box: int) -> Float[Tensor, "box half"]:
        """Return P_k = E|X_k|^2, X the orthonormal rfft2 of x0 minus the mean image; half = box // 2 + 1."""
        ...


@runtime_checkable
class Tunable(Protocol):
    """A denoiser that can be told the power spectrum of the data at hand."""

    def with_power_factor(self, box: int, factor: Float[Tensor, "shells"]) -> Denoiser:
        """Return the prior for images whose power is this factor of its own in each shell, (shells,)."""
        ...


@runtime_checkable
class OperatorAware(Protocol):
    """A prior whose images are signal and stationary noise, x0 = s + n, and that can be asked about a measurement."""

    @property
    def operator_aware(self) -> bool:
        """Return whether :meth:`estimate` was trained on measurements, and not on noisy images alone."""
        ...

    @property
    def means_only(self) -> bool:
        """Return whether it may be asked about a measurement alone, and not about one beside a noisy image."""
        ...

    def components(self, box: int, like: Tensor) -> tuple[Float[Tensor, "box half"], Float[Tensor, "box half"]]:
        """Return the power of s and of n on the rfft2 grid."""
        ...

    def estimate(self, evidence: Evidence) -> Float[Tensor, "b box box"]:
        """Return E[s | evidence], one network evaluation."""
        ...


@runtime_checkable
class SignalPrior(Protocol):
    """A prior whose images are signal and stationary noise, x0 = s + n, and that estimates the signal of an image."""

    def components(self, box: int, like: Tensor) -> tuple[Float[Tensor, "box half"], Float[Tensor, "box half"]]:
        """Return the power of s and of n on the rfft2 grid."""
        ...

    def signal(self, x: Float[Tensor, "b box box"], tau: Float[Tensor, "b"]) -> Float[Tensor, "b box box"]:
        """Return E[s | x0 + tau e = x], one network evaluation."""
        ...


@runtime_checkable
class Centred(Protocol):
    """A prior that knows the mean of its images."""

    def mean_image(self, box: int, like: Tensor) -> Float[Tensor, "box box"]:
        """Return E[x0], a radial image."""
        ...


@runtime_checkable
class TrainedInScale(Protocol):
    """A prior whose network was trained in a grey scale and on noise levels of its own, as a DDPM's is."""

    @property
    def training_scale(self) -> tuple[float, float] | None:
        """Return scale and offset of x_network = scale x_prior + offset; None where it has no scale of its own."""
        ...


class MeteredDenoiser:
    """The same denoiser with its calls, forward and backward, and their seconds counted, optionally in mixed precision.

    Parameters
    ----------
    denoiser: the prior to count.
    autocast: the type that matrix products are rounded to (``torch.bfloat16``), or None for the input's own type;
        what comes back has the input's type in either case.
    """

    def __init__(self, denoiser: Denoiser, autocast: torch.dtype | None = None) -> None:
        self.denoiser, self.autocast = denoiser, autocast
        self.calls, self.backward_calls, self.seconds = 0, 0, 0.0

    def __call__(self, x: Float[Tensor, "b box box"], tau: Float[Tensor, "b"]) -> Float[Tensor, "b box box"]:
        """Return what the denoiser returns, and count it."""
        return self._metered(lambda: self.denoiser(x, tau), x)

    def backward(self, ask: Callable[[], Tensor], like: Tensor) -> Tensor:
        """Return what a question to the derivative gives, and count it."""
        start = self._now(like)
        gradient = ask()
        self.seconds += self._now(gradient) - start
        self.backward_calls += 1
        return gradient

    def estimate(self, evidence: Evidence) -> Float[Tensor, "b box box"]:
        """Return what the denoiser estimates, and count it."""
        assert isinstance(self.denoiser, OperatorAware)
        aware = self.denoiser
        return self._metered(lambda: aware.estimate(evidence), evidence.linear)

    def signal(self, x: Float[Tensor, "b box box"], tau: Float[Tensor, "b"]) -> Float[Tensor, "b box box"]:
        """Return the signal that the denoiser sees in an image, and count it."""
        assert isinstance(self.denoiser, SignalPrior)
        known = self.denoiser
        return self._metered(lambda: known.signal(x, tau), x)

    def components(self, box: int, like: Tensor) -> tuple[Float[Tensor, "box half"], Float[Tensor, "box half"]]:
        """Return the denoiser's powers of signal and of noise."""
        assert isinstance(self.denoiser, OperatorAware | SignalPrior)
        return self.denoiser.components(box, like)

    def mean_image(self, box: int, like: Tensor) -> Float[Tensor, "box box"]:
        """Return the mean of the denoiser's images, 0 where it knows none; not counted, as no particle has it made."""
        known = self.denoiser
        return known.mean_image(box, like) if isinstance(known, Centred) else like.new_zeros(box, box)

    @property
    def training_scale(self) -> tuple[float, float] | None:
        """Return the grey scale that the denoiser's network was trained in, None where it has none of its own."""
        return self.denoiser.training_scale if isinstance(self.denoiser, TrainedInScale) else None

    @property
    def operator_aware(self) -> bool:
        """Return whether the denoiser is operator-aware."""
        return isinstance(self.denoiser, OperatorAware) and self.denoiser.operator_aware

    @property
    def means_only(self) -> bool:
        """Return whether the denoiser gives means only."""
        return isinstance(self.denoiser, OperatorAware) and self.denoiser.means_only

    def spectrum(self, box: int) -> Float[Tensor, "box half"]:
        """Return the denoiser's own spectrum."""
        return self.denoiser.spectrum(box)

    def _metered(self, ask: Callable[[], Tensor], like: Tensor) -> Tensor:
        start = self._now(like)
        with torch.autocast(like.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            denoised = ask().to(like.dtype)
        self.seconds += self._now(like) - start
        self.calls += 1
        return denoised

    @staticmethod
    def _now(x: Tensor) -> float:
        if x.is_cuda:
            torch.cuda.synchronize(x.device)
        return time.perf_counter()


def linearise(
    prior: Denoiser, x: Float[Tensor, "b box box"], tau: Float[Tensor, "b"]
) -> tuple[Float[Tensor, "b box box"], Pullback]:
    """Return D(x, tau) and the map v -> J^T v, J the derivative of D with respect to x.

    D costs one forward evaluation, the map one backward evaluation. The map may be called once: it frees what the
    forward evaluation kept for it. No image's derivative involves another image.
    """
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        denoised = prior(leaf, tau)

    def pullback(v: Float[Tensor, "b box box"]) -> Float[Tensor, "b box box"]:
        def ask() -> Tensor:
            return torch.autograd.grad(denoised, leaf, v)[0]

        return prior.backward(ask, v) if isinstance(prior, MeteredDenoiser) else ask()

    return denoised.detach(), pullback
