"""What images of a data set look like, found from measurements alone: grey scale, contrast, radial power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.image.spectrum import pixel_variance, power_spectrum, radial_average, shell_index
from cryoprior.measurement.conditioning import Measurement, floored, seen_share
from cryoprior.measurement.intensity import Contrast, Intensity, contrast_clearness, decide_contrast, fit_intensity
from cryoprior.operators import Operator
from cryoprior.random import ParticleNoise

ROUNDS = 15
ROUNDS_FROM_NOTHING = 30
FASTEST = 8.0
TOLERANCE = 1e-2
ROUGHNESS = 0.2
"""Expected second difference, from shell to shell, of the logarithm of the data's power over the prior's."""
SPREAD = 1.0
"""Expected size of that logarithm: it decides where the measurements say nothing."""


@dataclass(frozen=True)
class Appearance:
    """What images of a data set look like, found from measurements alone: grey scale, contrast, radial power."""

    intensity: Intensity
    contrast: Contrast
    power: Float[Tensor, "shells"]


def fit_appearance(y: Float[Tensor, "b m"], operator: Operator, sigma: float, particles: Sequence[int]) -> Appearance:
    """Return grey scale, contrast and power spectrum of images of which only measurements are known, and no prior.

    The spectrum begins as that of the least-squares images over the share of each shell that they show, and is fitted
    as in :func:`fit_spectrum`. The scale is that of images of mean 0 and variance 1; that of dark ones is negative.

    Raises
    ------
    InputError: measurements with no power above sigma.
    """
    decided = decide_contrast("auto", contrast_clearness(operator.pinv(y, particles)))
    flat = y.new_ones(operator.box, operator.box // 2 + 1)
    intensity = fit_intensity(y, operator, flat, sigma, particles)
    inner = intensity.to_prior(y, operator, particles)
    seen = operator.pinv(inner, particles)
    share = seen_share(operator, particles, seen).clamp_min(1 / FASTEST)
    shells = shell_index(operator.box, y.device)
    start = (radial_average(power_spectrum(seen)) / share).clamp_min(1e-3)[shells].to(y)
    inside, relative = intensity.operator(operator), sigma / intensity.scale
    power = fit_spectrum(inner, inside, start, relative, particles, rounds=ROUNDS_FROM_NOTHING)
    power = power * radial_average(start.double())
    variance = float(pixel_variance(power[shells]))
    scale = intensity.scale * variance**0.5 * (-1 if decided.particles == "dark" else 1)
    return Appearance(Intensity(intensity.offset, scale), decided, power / variance)


def fit_spectrum(
    y: Float[Tensor, "b m"],
    operator: Operator,
    power: Float[Tensor, "box half"],
    sigma: float,
    particles: Sequence[int],
    rounds: int = ROUNDS,
) -> Float[Tensor, "shells"]:
    """Return the factor on the power in each shell with which Gaussian images explain the measurements best, (shells,).

    Expectation maximisation from the given spectrum: the next is the radial power of the posterior mean under the
    present one, and of the posterior's deviations from it. These come from draws with the same random numbers in
    every round, in units of the power of those numbers, so that a shell that is not seen stays exactly as it is. Each
    shell's step is stretched by the share of it that the operator sees, which leaves the fixed point where it is. Of
    the logarithm of the ratio to the given spectrum a smooth curve is kept, as near to each shell's value as the
    information in it demands.

    Source: Dempster, Laird and Rubin 1977, with a smoothing step (Silverman et al. 1990).
    """
    box, white = operator.box, ParticleNoise(0, "spectrum", particles)
    shells, nothing = shell_index(box, y.device), y.new_zeros(len(y), box, box)
    measurement = Measurement(operator, y, sigma, particles, "calibration")
    start = floored(power.to(y))
    count = len(y) * radial_average(torch.ones_like(start, dtype=torch.float64), mean=False)
    stretch = 1 / seen_share(operator, particles, nothing).clamp(1 / FASTEST, 1)
    drawn_from = radial_average(power_spectrum(white.fork("draw").normal_like(nothing)))
    log_factor = torch.zeros_like(count)
    for _ in range(rounds):
        present = start * log_factor.exp()[shells].to(y)
        before = radial_average(present.double())
        mean = measurement.condition(nothing, present, tolerance=TOLERANCE)
        draw = measurement.condition(nothing, present, white.fork("draw"), tolerance=TOLERANCE)
        unseen = before * radial_average(power_spectrum(draw - mean) / present) / drawn_from
        change = (radial_average(power_spectrum(mean)) + unseen).log() - before.log()
        information = count / 2 * (1 - unseen / before).clamp(0, 1) ** 2
        log_factor = _smooth(log_factor + stretch * change, information)
    return log_factor.exp()


def _smooth(values: Float[Tensor, "shells"], information: Float[Tensor, "shells"]) -> Float[Tensor, "shells"]:
    """Return the smooth curve through values known with this information; the shell at zero stands apart."""
    eye = torch.eye(len(values), dtype=values.dtype, device=values.device)
    bend = eye[1:-2] - 2 * eye[2:-1] + eye[3:]
    system = information.diag() + bend.T @ bend / ROUGHNESS**2 + eye / SPREAD**2
    smooth: Tensor = torch.linalg.solve(system, information * values)
    return smooth
