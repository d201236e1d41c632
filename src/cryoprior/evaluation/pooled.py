"""Correlation and Fourier ring correlation with clean images, pooled over particles, with paired standard errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.metrics.rings import ShellPowers, frc_mean, shell_powers


@dataclass(frozen=True)
class PairSums:
    """Products of images x and their clean projections by particle; ``products`` are xc, xx and cc, means removed."""

    products: Float[Tensor, "n 3"]
    shells: ShellPowers
    box: int

    @classmethod
    def of(cls, x: Tensor, clean: Tensor) -> PairSums:
        """Return the sums, means removed."""
        a, c = (image.double().flatten(1) for image in (x, clean))
        a, c = a - a.mean(1, keepdim=True), c - c.mean(1, keepdim=True)
        products = torch.stack([(a * c).sum(1), (a * a).sum(1), (c * c).sum(1)], dim=1)
        return cls(products, shell_powers(x, clean), int(x.shape[-1]))

    def first(self, n: int) -> PairSums:
        """Return those of the first n particles."""
        shells = (self.shells.cross[:n], self.shells.power_a[:n], self.shells.power_b[:n])
        return PairSums(self.products[:n], ShellPowers(*shells), self.box)

    def __add__(self, other: PairSums) -> PairSums:
        """Return the sums of two sets of images of the same particles, particle by particle."""
        return PairSums(self.products + other.products, self.shells + other.shells, self.box)

    def left_out(self) -> PairSums:
        """Return the totals without each particle in turn, (n, ...)."""
        shells = [total.sum(0, True) - total for total in (self.shells.cross, self.shells.power_a, self.shells.power_b)]
        return PairSums(self.products.sum(0, True) - self.products, ShellPowers(*shells), self.box)

    def total(self) -> PairSums:
        """Return the sums over all particles, (1, ...)."""
        return PairSums(self.products.sum(0, True), self.shells.pooled(), self.box)


def pooled_correlation(totals: PairSums) -> Float[Tensor, "b"]:
    """Return sum xc / sqrt(sum xx sum cc) of totals, 0 for empty images."""
    xc, xx, cc = totals.products.unbind(1)
    return xc / (xx * cc).sqrt().clamp_min(1e-300)


def pooled_ring_correlation(totals: PairSums) -> Float[Tensor, "b"]:
    """Return the FRC of totals, averaged over shells with their number of coefficients."""
    return frc_mean(totals.shells.frc, totals.box)


SCORES: dict[str, Callable[[PairSums], Tensor]] = {"correlation": pooled_correlation, "frc": pooled_ring_correlation}


def jackknife(values: Float[Tensor, "n *s"]) -> Float[Tensor, "*s"]:
    """Return the standard error of a statistic from its values with each particle left out, (n, ...) -> (...)."""
    n = len(values)
    return ((n - 1) / n * (values - values.mean(0)).square().sum(0)).sqrt()


def pooled_scores(x: PairSums) -> dict[str, float]:
    """Return the pooled correlation and the pooled FRC."""
    return {name: float(pooled(x.total())) for name, pooled in SCORES.items()}


def pooled_gain(x: PairSums, other: PairSums) -> dict[str, list[float]]:
    """Return both scores of x minus those of other, each with its paired standard error."""
    return {
        name: [
            float(pooled(x.total()) - pooled(other.total())),
            float(jackknife(pooled(x.left_out()) - pooled(other.left_out()))),
        ]
        for name, pooled in SCORES.items()
    }
