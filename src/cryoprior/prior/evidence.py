"""What is known of an image's signal, in the form in which a network takes it: noisy images and measurements alike."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.image.spectrum import apply_filter, pixel_variance, shell_index
from cryoprior.measurement.conditioning import Measurement, floored, seen_share

PROBES = 4
"""Random images from which the share of each shell that an operator sees is estimated."""
LEVELS = (-7.0, 7.0, 57)
"""Least and largest logarithm of the white noise that a level may stand for, and the points of its table."""


class Evidence(NamedTuple):
    """An image s + n of known spectra, seen through noise or through a measurement, or both.

    pivot: the image as it is known, unit variance; 0 where no noisy image was given.
    linear: the best linear estimate L of the signal, in the prior's grey scale.
    seen: what the measurement alone shows, A+ y with noisy coordinates damped; None without a measurement.
    error: root mean square error of L, (b,). deviation: root mean square of L itself, (b,).
    level: 100 log(v) / 2 + 500, v the variance of all noise; of a measurement, that under which a noisy image would
        leave the same error.
    """

    pivot: Float[Tensor, "b box box"]
    linear: Float[Tensor, "b box box"]
    seen: Float[Tensor, "b box box"] | None
    error: Float[Tensor, "b"]
    deviation: Float[Tensor, "b"]
    level: Float[Tensor, "b"]

    def float(self) -> Evidence:
        """Return the same in single precision, as networks take it."""
        return self._replace(
            pivot=self.pivot.float(),
            linear=self.linear.float(),
            seen=None if self.seen is None else self.seen.float(),
            error=self.error.float(),
            deviation=self.deviation.float(),
            level=self.level.float(),
        )


def evidence_of_image(
    x: Float[Tensor, "b box box"], signal: Float[Tensor, "*s box half"], noise: Float[Tensor, "*b box half"]
) -> Evidence:
    """Return the evidence of x = s + n, s of power ``signal`` and n stationary of power ``noise`` (rfft2 grid)."""
    gain = signal / (signal + noise)
    scale = (pixel_variance(signal) + pixel_variance(noise)).sqrt()
    return Evidence(
        pivot=x / scale[..., None, None],
        linear=apply_filter(x, gain),
        seen=None,
        error=pixel_variance(noise * gain).sqrt(),
        deviation=pixel_variance(signal * gain).sqrt(),
        level=_level(pixel_variance(noise)),
    )


def evidence_of_measurement(
    measurement: Measurement,
    x: Float[Tensor, "b box box"] | None,
    tau: float | None,
    signal: Float[Tensor, "*s box half"],
    noise: Float[Tensor, "*n box half"],
    *,
    tolerance: float = 1e-3,
) -> Evidence:
    """Return the evidence of x_t = x0 + tau e and y = A x0 + sigma e together, x0 = s + n; of y alone without x.

    signal, noise: power of s and of n on the rfft2 grid.
    tolerance: relative residual of conjugate gradients, for operators without a closed form.

    Source: Exact Posterior Score (arXiv 2606.17048): both observations are one pivot, x0 + N(0, Sigma*) with
    Sigma* = (I / tau^2 + A^T A / sigma^2)^-1; see docs/theory.md.
    """
    total = floored(signal + noise)
    box = measurement.operator.box
    nothing = measurement.y.new_zeros(len(measurement.y), box, box)
    if x is None or tau is None:
        guess, covariance, pivot = nothing, total, nothing
    else:
        guess = apply_filter(x, total / (total + tau**2))
        covariance = total * tau**2 / (total + tau**2)
        pivot = x + measurement.synthesise(
            (measurement.z - measurement.analyse(x)) * tau**2 / (tau**2 + measurement.deviation**2)
        )
    linear = apply_filter(measurement.condition(guess, covariance, tolerance=tolerance), signal / total)
    left, pivot_power = _error_power(measurement, tau, signal, noise)
    error = pixel_variance(left)
    variance = pixel_variance(total)
    damped = measurement.z * variance[..., None] / (variance[..., None] + measurement.deviation**2)
    return Evidence(
        pivot=pivot / pivot_power.sqrt()[..., None, None],
        linear=linear,
        seen=measurement.synthesise(damped) / variance.sqrt()[..., None, None],
        error=error.sqrt(),
        deviation=(pixel_variance(signal) - error).clamp_min(1e-6).sqrt(),
        level=_matching_level(error, signal, noise),
    )


def _error_power(
    measurement: Measurement, tau: float | None, signal: Tensor, noise: Tensor
) -> tuple[Float[Tensor, "*b box half"], Float[Tensor, "*b"]]:
    """Return the power of the error of the linear estimate, and the variance of a pixel of the pivot.

    Exact where A is diagonal in the FFT. Elsewhere the measured subspace is taken as a random one that holds the same
    share of every frequency as A's.
    """
    rough = 1e12 if tau is None else tau**2
    if measurement.diagonal is not None:
        known = measurement.diagonal / measurement.noise_power.clamp_min(1e-12)
        pivot = noise + 1 / (1 / rough + known)
        return signal * pivot / (signal + pivot), pixel_variance(signal) + pixel_variance(pivot)
    box, variance = measurement.operator.box, pixel_variance(signal + noise)[..., None]
    s = measurement.operator.singular_values(measurement.particles, like=signal)
    told = (measurement.known * variance / (variance + measurement.deviation**2)).sum(1) / (s > 0).sum(1)
    share = seen_share(measurement.operator, range(PROBES), signal.new_empty(PROBES, box, box)).to(signal).clamp(0, 1)
    share = share[shell_index(box, signal.device)] * told[:, None, None]
    seen, unseen = signal / (signal + noise), signal / (signal + noise + rough)
    left = signal * (1 - share * seen - (1 - share) * unseen)
    return left, variance[..., 0] + pixel_variance(1 - share) * rough


def _level(variance: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    return 100.0 * variance.log() / 2 + 500.0


def _matching_level(error: Float[Tensor, "b"], signal: Tensor, noise: Tensor) -> Float[Tensor, "b"]:
    """Return the level of the white noise beside which a noisy image would leave this mean square error."""
    white = torch.linspace(*LEVELS, device=error.device).to(signal).exp() ** 2
    total = (noise if noise.ndim == 3 else noise[None])[:, None] + white[:, None, None]  # one row where it is shared
    table = pixel_variance(signal * total / (signal + total)).expand(len(error), -1).contiguous()
    levels = _level(pixel_variance(total)).expand(len(error), -1)
    place = torch.searchsorted(table, error[:, None].contiguous()).clamp(1, table.shape[1] - 1)
    low, high = table.gather(1, place - 1), table.gather(1, place)
    share = ((error[:, None] - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)
    return torch.lerp(levels.gather(1, place - 1), levels.gather(1, place), share)[:, 0]
