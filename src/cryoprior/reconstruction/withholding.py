"""Numbers withheld from a prior and predicted from the rest: what it knows, judged without truth and without poses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.image.spectrum import pixel_variance
from cryoprior.measurement.conditioning import Measurement, floored
from cryoprior.metrics.rings import shell_powers, shell_sums
from cryoprior.operators import Crop, Operator
from cryoprior.prior.denoiser import Centred, OperatorAware
from cryoprior.prior.mean_image import power_about
from cryoprior.prior.posterior import posterior_mean
from cryoprior.random import ParticleNoise

SHARE = 0.2
"""Share of a particle's numbers that is withheld."""
TOLERANCE = 1e-3
Held = Callable[[Tensor], Tensor]
SUMS = ("linear", "prior", "confirmed", "added", "signal", "numbers")


@dataclass(frozen=True)
class Withheld:
    """What the withheld numbers of particles say, by particle and shell, each (b, shells) in float64.

    linear, prior: by how much the square error of the prediction is below that of the mean image, of the linear
        estimate and of the prior.
    confirmed, added: cross power of what the linear estimate missed with what the prior adds to it, and the power of
        that addition. Their ratio is 1 for a prior that is right and 0 for one that invents.
    signal: power of the signal about the mean image in the withheld numbers, as the prior has it.
    numbers: how many withheld numbers the shell holds, of its own or as shares of numbers that lie across shells.
    """

    linear: Float[Tensor, "b shells"]
    prior: Float[Tensor, "b shells"]
    confirmed: Float[Tensor, "b shells"]
    added: Float[Tensor, "b shells"]
    signal: Float[Tensor, "b shells"]
    numbers: Float[Tensor, "b shells"]

    @classmethod
    def joined(cls, parts: Sequence[Withheld]) -> Withheld:
        """Return several batches as one."""
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in SUMS))


@torch.no_grad()
def predict_withheld(
    prior: OperatorAware, operator: Operator, y: Float[Tensor, "b m"], sigma: float, particles: Sequence[int], seed: int
) -> Withheld:
    """Return how well a prior and the linear estimate predict a random fifth of each particle's numbers from the rest.

    The split never looks at the numbers, and the noise of a withheld number, white on y, is independent of what is
    shown. So the square error of a prediction is that against the number without noise plus a constant, and
    differences of two predictions are unbiased, whatever the prior. A prediction is E[x0 | shown]: noise of the image
    that is correlated between numbers is predicted by both alike. Of an image with all its pixels Fourier coefficients
    are withheld, among which stationary noise of any colour is independent.

    y, sigma: in the prior's grey scale. seed: of the split, one stream per particle.

    Source: docs/theory.md, section 6; by shells, the error is split as <V_W V_W^T e, F_s d>, F_s the shell.
    """
    operator, y = as_frequencies(operator, y, particles)
    keep = _drawn(operator, particles, seed).to(y)
    shown = Measurement(operator, y, sigma, particles, "check", keep)
    whole = Measurement(operator, y, sigma, particles, "check")
    signal, noise = prior.components(operator.box, y)
    variance = pixel_variance(signal + noise)
    out = whole.known * (1 - keep) * variance / (variance + whole.deviation**2)  # noisy numbers weigh little
    mean = prior.mean_image(operator.box, y) if isinstance(prior, Centred) else y.new_zeros(operator.box, operator.box)
    about = power_about(signal, mean)
    guess = mean.expand(len(y), -1, -1)
    linear = shown.condition(guess, floored(about + noise), tolerance=TOLERANCE)
    ours = posterior_mean(prior, shown, tolerance=TOLERANCE)

    def held(x: Tensor) -> Tensor:
        """Return V_W V_W^T x, each number with its weight."""
        return operator.synthesise(out * whole.analyse(x), particles)

    data = operator.synthesise(out * whole.z, particles)
    missed, missed_by_linear = data - held(guess), data - held(linear)
    return Withheld(
        _gain(missed, linear - guess, held),
        _gain(missed, ours - guess, held),
        shell_powers(missed_by_linear, ours - linear).cross,
        shell_powers(held(ours - linear), ours - linear).cross,
        *_power_of_held(about, held, ParticleNoise(seed, "check/probe", particles).normal_like(guess)),
    )


def as_frequencies(
    operator: Operator, y: Float[Tensor, "b m"], particles: Sequence[int]
) -> tuple[Operator, Float[Tensor, "b m"]]:
    """Return an image with all its pixels as its Fourier coefficients, other measurements as they are."""
    if operator.name not in ("identity", "quantize"):
        return operator, y
    frequencies = Crop(box=operator.box, size=operator.box)
    return frequencies, frequencies.forward(operator.pinv(y, particles), particles)


def _drawn(operator: Operator, particles: Sequence[int], seed: int) -> Float[Tensor, "b r"]:
    """Return 0 for coordinates that are withheld, 1 for the others; what was measured together stays together."""
    groups = operator.groups(particles)
    draw = ParticleNoise(seed, "check", particles).normal_like(torch.empty(len(particles), int(groups.max()) + 1))
    return (draw.gather(1, groups) >= NormalDist().inv_cdf(SHARE)).float()


def _gain(missed: Tensor, change: Tensor, held: Held) -> Float[Tensor, "b shells"]:
    """Return |missed|^2 - |missed - change|^2 over the withheld numbers, by shell of the change."""
    return 2 * shell_powers(missed, change).cross - shell_powers(held(change), change).cross


def _power_of_held(about: Tensor, held: Held, white: Tensor) -> tuple[Tensor, Tensor]:
    """Return the power of the signal in the withheld numbers, and their count, by shell, from a white image."""
    share = shell_powers(held(white), white).cross.mean(0) / shell_powers(white, white).power_a.mean(0)
    every = torch.ones(1, *about.shape, dtype=torch.float64, device=about.device)
    count, power = shell_sums(every), shell_sums(about[None])
    return (share * power).expand(len(white), -1), (share * count).expand(len(white), -1)
