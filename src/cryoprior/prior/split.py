"""Whether a prior can tell the signal of an image from its noise, and the powers of both."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.prior.denoiser import SignalPrior

NO_SIGNAL = (
    "<estimate=signal>: this prior cannot tell signal from noise: it was trained without clean images; use the "
    "embedded prior, or train one on simulated particles with <clean>; <estimate=mean> works with any prior"
)


def signal_and_noise(prior: Any, box: int, like: Tensor) -> tuple[Float[Tensor, "box half"], Float[Tensor, "box half"]]:
    """Return the power of signal and of noise on the rfft2 grid.

    Raises
    ------
    InputError: a prior whose images have no known noise: a DDPM, a bare function, one trained on recorded particles or
        on measurements alone.
    """
    known: Any = prior
    while hasattr(known, "denoiser"):  # what counts its calls, or holds its description
        known = known.denoiser
    if not isinstance(known, SignalPrior) or getattr(known, "means_only", False):
        raise InputError(NO_SIGNAL)
    signal, noise = known.components(box, like)
    if not bool(noise.any()):
        raise InputError(NO_SIGNAL)
    return signal, noise
