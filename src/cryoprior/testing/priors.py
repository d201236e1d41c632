"""The laws of a prior: a denoiser with the power spectrum of its images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cryoprior.image.spectrum import apply_filter, shell_index
from cryoprior.prior.denoiser import Denoiser, OperatorAware, Tunable, linearise
from cryoprior.testing.closeness import normal, require, require_equal

TAU = (0.3, 1.0, 5.0)
SAME = 1e-4
"""Relative difference within which two runs of a network in float32 are the same."""

Law = Callable[[Denoiser, int], None]


def check_prior(prior: Denoiser, box: int) -> None:
    """Raise AssertionError for the first law that a prior breaks.

    Parameters
    ----------
    prior: anything that can be called as D(x, tau) and has ``spectrum``.
    box: pixels a side, one that the prior knows.
    """
    for law in PRIOR_LAWS.values():
        law(prior, box)


def asked(box: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Return images of three particles, and the noise level of each."""
    return normal(len(TAU), box, box, seed=0, dtype=dtype), torch.tensor(TAU, dtype=dtype)


def shape(prior: Denoiser, box: int) -> None:
    """The images that come back have the shape and the type of those that were given, and are finite."""
    for dtype in (torch.float32, torch.float64):
        x, tau = asked(box, dtype)
        with torch.no_grad():
            denoised = prior(x, tau)
        what, expected = (tuple(denoised.shape), denoised.dtype), (tuple(x.shape), dtype)
        require(what == expected, "shape: that of x, in its type", f"{what}, expected {expected}")
        require(bool(denoised.isfinite().all()), "shape: every pixel is finite", "NaN or infinity")


def determinism(prior: Denoiser, box: int) -> None:
    """The same question has the same answer, and the images that were asked about stay as they are."""
    (x, tau), (kept, _) = asked(box), asked(box)
    with torch.no_grad():
        first = prior(x, tau)
        require_equal(x, kept, "determinism: x is left as it is", tolerance=0)
        require_equal(prior(x, tau), first, "determinism: twice the same", tolerance=0)


def batch(prior: Denoiser, box: int) -> None:
    """A particle is denoised alike alone, in any batch and in any order, each at its own noise level."""
    x, tau = asked(box)
    with torch.no_grad():
        together, backwards = prior(x, tau), prior(x.flip(0), tau.flip(0)).flip(0)
        alone = torch.cat([prior(x[i : i + 1], tau[i : i + 1]) for i in range(len(x))])
    require_equal(backwards, together, "batch: an image does not depend on the order", tolerance=SAME)
    require_equal(alone, together, "batch: an image does not depend on its batch mates", tolerance=SAME)


def spectrum(prior: Denoiser, box: int) -> None:
    """The spectrum is (box, box // 2 + 1), finite, nowhere negative and somewhere above 0."""
    power = prior.spectrum(box)
    expected = (box, box // 2 + 1)
    require(tuple(power.shape) == expected, "spectrum: on the rfft2 grid", f"{tuple(power.shape)}, expected {expected}")
    require(bool(power.isfinite().all()), "spectrum: finite", "NaN or infinity")
    low, high = float(power.min()), float(power.max())
    require(low >= 0 and high > 0, "spectrum: nowhere negative, somewhere above 0", f"{low:.3g} to {high:.3g}")


def denoising(prior: Denoiser, box: int) -> None:
    """Of images of its spectrum, what comes back is nearer to the image than what was given."""
    power = prior.spectrum(box).double()
    clean = apply_filter(normal(8, box, box, seed=1), power.sqrt())
    deviation = float(clean.std())
    for share in (0.5, 2.0):
        tau = share * deviation
        x = clean + tau * normal(8, box, box, seed=2)
        with torch.no_grad():
            denoised = prior(x.float(), torch.full((8,), tau)).double()
        error = float((denoised - clean).square().mean().sqrt())
        law = "denoising: the result is nearer to the clean image than the noisy one"
        require(error < tau, law, f"an error of {error:.3g} at a noise of {tau:.3g}")


def derivative(prior: Denoiser, box: int) -> None:
    """The derivative of one image does not touch another image."""
    x, tau = asked(box)
    v = normal(*x.shape, seed=1, dtype=x.dtype)
    one = torch.zeros_like(v)
    one[1] = v[1]
    together, lone = linearise(prior, x, tau)[1](v), linearise(prior, x, tau)[1](one)
    others = float(lone[[0, 2]].abs().max())
    require(others == 0, "derivative: that of one image does not touch another", f"{others:.3g} at the others")
    require_equal(lone[1], together[1], "derivative: it does not depend on the batch mates", tolerance=SAME)


def components(prior: Denoiser, box: int) -> None:
    """Where a prior splits its images into signal and noise, their powers add up to its spectrum."""
    if not isinstance(prior, OperatorAware):
        return
    like = torch.empty(0, dtype=torch.float64)
    signal, noise = prior.components(box, like)
    low = float(torch.minimum(signal, noise).min())
    require(low >= 0, "components: no power below 0", f"{low:.3g}")
    law = "components: signal and noise add up to the spectrum"
    require_equal(signal + noise, prior.spectrum(box).to(like), law, tolerance=1e-5)


def tuning(prior: Denoiser, box: int) -> None:
    """Where a prior can be told the power of the data, a factor by shell is a factor of its spectrum."""
    if not isinstance(prior, Tunable):
        return
    shells = int(shell_index(box).max()) + 1
    factor = torch.linspace(0.5, 2.0, shells, dtype=torch.float64)
    expected = prior.spectrum(box).double() * factor[shell_index(box)]
    tuned = prior.with_power_factor(box, factor).spectrum(box).double()
    require_equal(tuned, expected, "tuning: the spectrum times the factor of each shell", tolerance=1e-5)


PRIOR_LAWS: dict[str, Law] = {
    "shape": shape,
    "determinism": determinism,
    "batch": batch,
    "spectrum": spectrum,
    "denoising": denoising,
    "derivative": derivative,
    "components": components,
    "tuning": tuning,
}
