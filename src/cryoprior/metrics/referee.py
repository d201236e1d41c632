"""The referee: how far a prior's map agrees with the truth, measured on half maps without knowing the truth.

f1 and f2 are half maps without a prior, D1 is anything made of half 1, D2 of half 2. The noise of half 2 is independent
of D1, so what D1 shares with f2 it shares with the truth t:

    FSC(D1, t) = FSC(D1, f2) / sqrt(FSC(f1, f2))

and the other way round; both are averaged. FSC(D1, D2) measures something else: what the prior adds to both halves
alike counts there as if it were signal.

It holds where poses and prior have not seen the other half. A prior that was trained on the data needs one training a
half. Of directions that no view covers half maps hold nothing; the truth that they stand for is that without these.

All four maps are compared unmasked, or within one generous soft mask. A tight mask breaks it twice. Its sharp edge
spreads the strong coarse shells over the weak fine ones; that spread is true in all four maps and covers what is false
in the shell itself. And a mask drawn along the noise of a map is itself something of that map which all four then
share.

Below, D is the mean of D1 and D2. It is the one prior map of all the data whose agreement can be measured: its first
part is independent of the noise of half 2, its second of that of half 1. Sums run over the coefficients of a shell:

    T = <f1, f2>                           power of the signal
    N = |f1 - f2|^2 / 4                    power of the noise n of the full map f
    S = (<D1, f2> + <D2, f1>) / 2          <D, t>
    s = S / T                              what D keeps of the signal
    q = <f1 - f2, D1 - D2> / (4 N)         what D keeps of the noise

In these sums the large errors cancel that plug-in correlations have where both maps are near the truth. What is left
are two random numbers a shell, X = (<E1, n2> + <E2, n1>) / 2 with E what is neither signal nor noise of its own half in
D, and Y = <n1, n2>. Error bars are to first order in both.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryoprior.metrics.fsc import volume_shell_sums, volume_shells
from cryoprior.metrics.noise_correlation import correlated_coefficients

LEAST_FSC = 0.1
"""FSC of the half maps below which nothing is said."""
LEAST_DEVIATIONS = 3.0
"""Deviations by which that FSC must exceed what noise alone gives."""

ROUNDING = 1e-6
"""Share of the amplitude of a prior map that is rounding."""

Curve = Float[Tensor, " shells"]


@dataclass(frozen=True)
class Estimate:
    """A curve, (shells,), and its error as multiples of the shell's two random numbers X and Y."""

    value: Curve
    of_x: Curve
    of_y: Curve


@dataclass(frozen=True, eq=False, repr=False)
class Referee:
    """Sums by shell of two half maps and of two maps that a prior made of them, each (shells,), float64.

    signal: T. overlap: S. noise: N. difference: <f1 - f2, D1 - D2> / 4.
    half_fsc: FSC(f1, f2). prior_fsc: FSC(D1, D2), the usual measure. prior_power: of D. prior_half_power: of D1 and D2,
        their mean.
    counts: independent real numbers in the shell, of Y. counts_of_prior: of X.
    """

    signal: Curve
    overlap: Curve
    noise: Curve
    difference: Curve
    half_fsc: Curve
    prior_fsc: Curve
    prior_power: Curve
    prior_half_power: Curve
    counts: Curve
    counts_of_prior: Curve

    def __repr__(self) -> str:
        return f"Referee({len(self.signal)} shells, {int(self.known.sum())} known)"

    def cpu(self) -> Referee:
        """Return the same on the processor."""
        return Referee(**{field.name: getattr(self, field.name).cpu() for field in fields(self)})

    @cached_property
    def known(self) -> Bool[Tensor, " shells"]:
        """Return where anything can be said: FSC(f1, f2) is at least 0.1, and three deviations above noise.

        The deviation is that of artanh FSC, 1 / sqrt(counts - 2), which is normal for few coefficients too.
        """
        precision = (self.counts - 2).clamp_min(0).sqrt()
        above = torch.atanh(self.half_fsc.clamp(-1, 1 - 1e-12)) * precision >= LEAST_DEVIATIONS
        return above & (self.half_fsc >= LEAST_FSC) & (self.signal > 0) & (self.prior_power > 0) & (self.noise > 0)

    @cached_property
    def s(self) -> Curve:
        """Return what the prior's map keeps of the signal."""
        return self.overlap / _positive(self.signal)

    @cached_property
    def q(self) -> Curve:
        """Return what the prior's map keeps of the noise of its own half."""
        return self.difference / _positive(self.noise)

    @cached_property
    def own_power(self) -> Curve:
        """Return the power of what is neither signal nor noise in the prior map of one half, |E|^2."""
        of_half = self.prior_half_power - self.s.square() * self.signal - 2 * self.q.square() * self.noise
        return torch.maximum(of_half, self.deviation).clamp_min(0)  # the mean of two has no more of it than one

    @cached_property
    def deviation(self) -> Curve:
        """Return |D - q f - (s - q) t|^2, what D has beside signal and noise; at least 0."""
        return (self.prior_power - self.s * self.overlap - self.q * self.difference).clamp_min(0)

    @property
    def error_x(self) -> Curve:
        """Return the standard deviation of X.

        What E owes to the noise of its own half is taken to be a symmetric function of it, as that of every posterior
            mean is: <E1, n2> and <E2, n1> then are one number. What both halves have alike in E gives two independent
            ones.
        """
        twice = 3 * self.own_power - 2 * self.deviation  # |B|^2 + 2 |G|^2 of E = B + G, B in both halves
        return (twice * self.noise / self.counts_of_prior).sqrt()

    @property
    def error_y(self) -> Curve:
        """Return the standard deviation of Y."""
        return 2 * self.noise / self.counts.sqrt()

    def error(self, estimate: Estimate) -> Curve:
        """Return the standard error of an estimate."""
        return ((estimate.of_x * self.error_x).square() + (estimate.of_y * self.error_y).square()).sqrt()

    def free(self) -> Estimate:
        """Return the agreement of the full prior-free map with the truth, sqrt(2 FSC / (1 + FSC)) for equal halves."""
        power = _positive(self.signal + self.noise)
        a = (self.signal.clamp_min(0) / power).sqrt()
        return Estimate(a, torch.zeros_like(a), 1 / (2 * _positive(a) * power))

    def prior(self) -> Estimate:
        """Return the agreement of D, the mean of both prior maps, with the truth."""
        return self._of_prior(self.prior_power)

    def prior_of_half(self) -> Estimate:
        """Return the agreement of the prior map of one half with the truth, the mean of both ways."""
        return self._of_prior(self.prior_half_power)

    def invented(self) -> Estimate:
        """Return the share of power that both prior maps have and the truth has not, FSC(D1, D2) - FSC(D1, t)^2."""
        half = self.prior_of_half()
        return Estimate(self.prior_fsc - half.value.square(), -2 * half.value * half.of_x, -2 * half.value * half.of_y)

    def _of_prior(self, power: Curve) -> Estimate:
        norm = (_positive(power) * _positive(self.signal)).sqrt()
        r = self.overlap / norm
        return Estimate(r, 1 / norm, self.q / norm - r / (2 * _positive(self.signal)))


def referee(
    half_1: Float[Tensor, "d d d"],
    half_2: Float[Tensor, "d d d"],
    prior_1: Float[Tensor, "d d d"],
    prior_2: Float[Tensor, "d d d"],
    mask: Float[Tensor, "d d d"] | None = None,
    symmetry_order: int = 1,
) -> Referee:
    """Return what half maps say of the maps that a prior made of them; shells 0 .. d // 2.

    Parameters
    ----------
    half_1, half_2: without a prior, of one grey scale.
    prior_1, prior_2: made of half 1 alone and of half 2 alone, in any one grey scale.
    mask: 0 to 1, generous and soft, for all four; none where None.
    symmetry_order: rotations of the point group that was imposed; so many coefficients of a shell are one.
    """
    halves = [volume if mask is None else volume * mask for volume in (half_1, half_2)]
    priors = [volume if mask is None else volume * mask for volume in (prior_1, prior_2)]
    f1, f2, d1, d2 = (torch.fft.rfftn(volume.double(), norm="ortho") for volume in (*halves, *priors))
    sums = {
        "signal": _dot(f1, f2),
        "overlap": (_dot(d1, f2) + _dot(d2, f1)) / 2,
        "noise": _dot(f1 - f2, f1 - f2) / 4,
        "difference": _dot(f1 - f2, d1 - d2) / 4,
        "half_fsc": _dot(f1, f2) / _positive(_dot(f1, f1) * _dot(f2, f2)).sqrt(),
        "prior_fsc": _dot(d1, d2) / _positive(_dot(d1, d1) * _dot(d2, d2)).sqrt(),
        "prior_power": _dot((d1 + d2) / 2, (d1 + d2) / 2),
        "prior_half_power": (_dot(d1, d1) + _dot(d2, d2)) / 2,
    }
    own = _without_noise((d1 + d2) / 2, (f1 + f2) / 2, sums["difference"] / _positive(sums["noise"]))
    sizes = _even_coefficients(f1 - f2) / symmetry_order
    counts, counts_of_prior = (
        (sizes / correlated_coefficients(halves[0] - halves[1], other)).clamp_min(1) for other in (None, own)
    )
    return Referee(**sums, counts=counts, counts_of_prior=counts_of_prior)


def _even_coefficients(noise: Tensor) -> Curve:
    """Return how many coefficients of one variance vary as much as those of every shell, whose views may be uneven.

    Of complex normal numbers of variance v, the mean of |n|^4 is 2 mean v^2.
    """
    power = noise.real.square() + noise.imag.square()
    sizes = volume_shell_sums(torch.ones_like(power))
    second, fourth = volume_shell_sums(power) / sizes, volume_shell_sums(power.square()) / sizes
    return sizes * (2 * second.square() / _positive(fourth)).clamp(max=1)


def _without_noise(d: Tensor, f: Tensor, q: Curve) -> Tensor | None:
    """Return D - q f as a map, None where nothing is left: D then is f, filtered."""
    box = d.shape[0]
    by_shell = torch.cat([q, q.new_zeros(1)])[volume_shells(box, d.device).long()]
    left = d - by_shell * f
    if float(left.abs().square().sum()) <= ROUNDING**2 * float(d.abs().square().sum()):
        return None
    own: Tensor = torch.fft.irfftn(left, s=(box,) * 3, norm="ortho")
    return own


def _dot(a: Tensor, b: Tensor) -> Curve:
    return volume_shell_sums(a.real * b.real + a.imag * b.imag)


def _positive(values: Curve) -> Curve:
    return values.clamp_min(1e-300)
