"""Draws of what a map may look like, given the map: the exact sampler on the volume.

In the whitened domain the map is z = t + n with noise of variance 1 / snr by frequency. A diffusion state
x = t + tau e, e white, is a second measurement of t with noise that is independent of n. Two Gaussian measurements of
one t are as good as one, so that

    E[t | z, x] = E[t | (snr z + x / tau^2) / (snr + 1 / tau^2)], with signal to noise snr + 1 / tau^2:

the network that gives the posterior mean of a map gives the denoiser of the posterior too. The data enter in closed
form and nothing about the likelihood is approximated; what is left is the error of the network and of the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.shells import Shells
from cryoprior.prior.schedule import noise_levels
from cryoprior.prior.volume.evidence import on_grid

STEPS = 25
FEWEST = 2
TAU_MAX, TAU_MIN, RHO = 10.0, 0.02, 7.0
"""Noise levels of a draw, in deviations of the signal inside the molecule; see prior/schedule.py."""

ConditionalMean = Callable[[Tensor, Float[Tensor, " knots"]], Tensor]
"""The mean of a whitened map, as its transform, from the transform of a measurement and its signal to noise."""


def draw_whitened(
    mean: ConditionalMean,
    fourier: Tensor,
    snr: Float[Tensor, " knots"],
    noise: Callable[[], Float[Tensor, "d d d"]],
    steps: int = STEPS,
) -> Tensor:
    """Return one draw of a whitened map given its measurement, as its orthonormal rfftn.

    The probability flow dx / dtau = (x - E[t | z, x]) / tau is followed from TAU_MAX to TAU_MIN by a two-step method,
    one evaluation a level. It starts from the posterior of a Gaussian prior of unit power plus the noise of the first
    level. The end is E[t | z, x] at the last level.

    Parameters
    ----------
    fourier: orthonormal rfftn of the measurement, 0 beyond Nyquist. snr: its signal to noise at the knots.
    noise: returns standard normal voxels, asked twice.
    steps: levels, and evaluations.

    Source: DPM-Solver++(2M) of Lu et al. 2022, arXiv 2211.01095, Algorithm 2, for a state that is t + tau e.
    """
    box = fourier.shape[0]
    inside = Shells(box, fourier.device).inside
    ratio = on_grid(snr[None], box)[0].to(fourier.device)
    white = [torch.fft.rfftn(noise().to(fourier.device), norm="ortho").to(fourier.dtype) * inside for _ in range(2)]
    levels = noise_levels(steps, TAU_MAX, TAU_MIN, RHO).tolist()
    x = fourier * (ratio / (1 + ratio)) + white[0] / (1 + ratio).sqrt() + levels[0] * white[1]
    found, before = _given_both(mean, fourier, x, snr, ratio, levels[0]), None
    last_step = 0.0
    for tau, lower in pairwise(levels):
        step = torch.tensor(tau / lower).log().item()
        ahead = found if before is None else found + (found - before) * (step / (2 * last_step))
        x = (lower / tau) * x + (1 - lower / tau) * ahead
        before, last_step = found, step
        found = _given_both(mean, fourier, x, snr, ratio, lower)
    return found


def check_samples(count: int) -> int:
    """Return the number of draws; InputError where no deviation can be read from it."""
    if count < FEWEST:
        raise InputError(f"<samples> {count}: a deviation needs at least {FEWEST}; ask for more")
    return count


def mean_and_deviation(
    samples: Iterable[Float[Tensor, "z y x"]],
) -> tuple[Float[Tensor, "z y x"], Float[Tensor, "z y x"]]:
    """Return mean and standard deviation by voxel of two draws or more, in their type; one map is held at a time."""
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    kind = torch.float32
    for sample in samples:
        count, kind = count + 1, sample.dtype
        off = sample.double() - mean
        mean = mean + off / count
        squares = squares + off * (sample.double() - mean)
    check_samples(count)
    return mean.to(kind), (squares / (count - 1)).sqrt().to(kind)


def _given_both(
    mean: ConditionalMean, z: Tensor, x: Tensor, snr: Float[Tensor, " knots"], ratio: Tensor, tau: float
) -> Tensor:
    """Return E[t | z, x], x = t + tau e."""
    own = tau**-2
    return mean((ratio * z + own * x) / (ratio + own), snr + own)
