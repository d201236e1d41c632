"""How sure an estimate of the signal is, pixel by pixel: from draws of the image and the prior's answer to them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.image.spectrum import apply_filter, frequency_radius, pixel_variance
from cryoprior.prior.denoiser import SignalPrior
from cryoprior.random import ParticleNoise

STEP = 0.25
"""Length of the finite difference, in standard deviations of the image's own noise."""
SMOOTHED_PIXEL = 2.0
"""Standard deviation, in pixels, of the Gaussian that evens out what few draws leave uneven."""
LEAST_SHARE = 0.01
"""Share of the image's mean variance below which no pixel is taken to be known."""


def signal_deviation(
    prior: SignalPrior,
    draws: Iterable[Float[Tensor, "b box box"]],
    noise_power: Float[Tensor, "*b box half"],
    noise: ParticleNoise,
) -> Float[Tensor, "b box box"]:
    """Return the posterior standard deviation of s by pixel, from draws of x0 = s + n given y; two evaluations each.

    Var[s | y] = Var(E[s | x0] | y) + E(Var[s | x0] | y). The first is the spread of the answers. The second needs no
    draw of s: n is Gaussian of covariance N, so Cov[s | x0] = J N with J the derivative of E[s | x0] by x0. Its
    diagonal is the mean of v (J N v) over images v of random signs, and J N v is a difference of two answers. Few
    draws leave it uneven, so that it is smoothed over pixels.

    Source: Efron 2011, "Tweedie's formula and selection bias", for the second order; Hutchinson 1990 for the diagonal.
    """
    mean = squares = within = None
    count = 0
    for count, x in enumerate(draws, start=1):
        sign = torch.where(noise.normal_like(x) < 0, -1.0, 1.0).to(x)
        step = apply_filter(sign, noise_power)
        length = STEP * (pixel_variance(noise_power) / pixel_variance(noise_power**2)).sqrt()
        length = length.to(x).expand(len(x))[:, None, None]
        tau = x.new_zeros(len(x))
        above, below = prior.signal(x + length * step, tau), prior.signal(x - length * step, tau)
        diagonal, answer = sign * (above - below) / (2 * length), (above + below) / 2
        if mean is None or squares is None or within is None:
            mean, squares, within = answer, torch.zeros_like(x), diagonal
            continue
        change = answer - mean
        mean, within = mean + change / count, within + diagonal
        squares = squares + change * (answer - mean)
    assert within is not None
    assert squares is not None
    return _deviation(within / count + squares / max(count - 1, 1))


def _deviation(variance: Float[Tensor, "b box box"]) -> Float[Tensor, "b box box"]:
    box = variance.shape[-1]
    blur = torch.exp(-2 * (torch.pi * SMOOTHED_PIXEL * frequency_radius(box, variance.device)) ** 2).to(variance)
    smooth = apply_filter(variance, blur)
    least = LEAST_SHARE * smooth.mean((-2, -1), keepdim=True).clamp_min(torch.finfo(variance.dtype).tiny)
    return torch.maximum(smooth, least).sqrt()
