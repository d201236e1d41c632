"""Correlation and Fourier ring correlation with clean images, pooled over particles, with paired standard errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cryoprior.metrics import ShellPowers, frc_mean, shell_powers


@dataclass(frozen=True)
class Sums:
    """Products of images x and their clean projections, by particle: ``products`` (n, 3) are xc, xx and cc."""

    products: Tensor
    shells: ShellPowers
    box: int

    @classmethod
    def of(cls, x: Tensor, clean: Tensor) -> Sums:
        """Return the sums, means removed."""
        a, c = (image.double().flatten(1) for image in (x, clean))
        a, c = a - a.mean(1, keepdim=True), c - c.mean(1, keepdim=True)
        products = torch.stack([(a * c).sum(1), (a * a).sum(1), (c * c).sum(1)], dim=1)
        return cls(products, shell_powers(x, clean), int(x.shape[-1]))

    def left_out(self) -> Sums:
        """Return the totals without each particle in turn, (n, ...)."""
        shells = [total.sum(0, True) - total for total in (self.shells.cross, self.shells.power_a, self.shells.power_b)]
        return Sums(self.products.sum(0, True) - self.products, ShellPowers(*shells), self.box)

    def total(self) -> Sums:
        """Return the sums over all particles, (1, ...)."""
        return Sums(self.products.sum(0, True), self.shells.pooled(), self.box)


def correlation(totals: Sums) -> Tensor:
    """Return sum xc / sqrt(sum xx sum cc) of totals, 0 for empty images."""
    xc, xx, cc = totals.products.unbind(1)
    return xc / (xx * cc).sqrt().clamp_min(1e-300)


def ring_correlation(totals: Sums) -> Tensor:
    """Return the FRC of totals, averaged over shells with their number of coefficients."""
    return frc_mean(totals.shells.frc, totals.box)


SCORES: dict[str, Callable[[Sums], Tensor]] = {"correlation": correlation, "frc": ring_correlation}


def jackknife(values: Tensor) -> Tensor:
    """Return the standard error of a statistic from its values with each particle left out, (n, ...) -> (...)."""
    n = len(values)
    return ((n - 1) / n * (values - values.mean(0)).square().sum(0)).sqrt()


def score(x: Sums) -> dict[str, float]:
    """Return both scores."""
    return {name: float(pooled(x.total())) for name, pooled in SCORES.items()}


def gain(x: Sums, other: Sums) -> dict[str, list[float]]:
    """Return both scores of x minus those of other, each with its paired standard error."""
    return {
        name: [
            float(pooled(x.total()) - pooled(other.total())),
            float(jackknife(pooled(x.left_out()) - pooled(other.left_out()))),
        ]
        for name, pooled in SCORES.items()
    }
