"""Gaussian images s + n, and all that a measurement says of them, by dense matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import pytest
import torch
from torch import Tensor

from cryoprior.image.spectrum import apply_filter, shell_index
from cryoprior.measurement.conditioning import Measurement
from cryoprior.operators import Operator, parse_operator
from cryoprior.prior.signal import Spectra

BOX = 16
PIXELS = BOX**2


def curves() -> Spectra:
    shell = torch.arange(int(shell_index(BOX).max()) + 1, dtype=torch.float64) / BOX
    return Spectra(tuple((3 / (1 + (10 * shell) ** 2)).tolist()), tuple((0.5 - 0.3 * shell).tolist()))


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Dense:
    """x0 = s + n seen as y = A x0 + sigma e and, with tau, as x = x0 + tau e besides; ``a`` is the matrix A."""

    operator: Operator
    a: Tensor
    sigma: float
    tau: float | None
    signal: Tensor
    noise: Tensor

    @property
    def spectra(self) -> Spectra:
        return curves()

    def draw(self, b: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Return s, n, y and x."""
        s = apply_filter(normal(b, BOX, BOX, seed=seed), self.signal.sqrt())
        n = apply_filter(normal(b, BOX, BOX, seed=seed + 1), self.noise.sqrt())
        y = (s + n).flatten(1) @ self.a.T
        y = y + self.sigma * normal(*y.shape, seed=seed + 2)
        return s, n, y, None if self.tau is None else s + n + self.tau * normal(b, BOX, BOX, seed=seed + 3)

    def measurement(self, y: Tensor, keep: Tensor | None = None) -> Measurement:
        return Measurement(self.operator, y, self.sigma, range(len(y)), "a test", keep)

    def mean(self, power: Tensor, y: Tensor, x: Tensor | None) -> Tensor:
        """Return E[part of that power | what was seen]."""
        u, s, _ = self._svd
        seen = (y @ u) / s if x is None else torch.cat([(y @ u) / s, x.flatten(1)], dim=1)
        return (seen @ self._gain(power).T).reshape(-1, BOX, BOX)

    def error(self, power: Tensor) -> float:
        """Return the root mean square error of that estimate."""
        left = covariance(power) - self._gain(power) @ self._rows @ covariance(power)
        return float((left.trace() / PIXELS).sqrt())

    def _gain(self, power: Tensor) -> Tensor:
        return covariance(power) @ self._rows.T @ self._inverse

    @cached_property
    def _svd(self) -> tuple[Tensor, Tensor, Tensor]:
        u, s, vh = torch.linalg.svd(self.a, full_matrices=False)
        kept = s > 1e-7 * s.max()
        return u[:, kept], s[kept], vh[kept]

    @cached_property
    def _rows(self) -> Tensor:
        v = self._svd[2]
        return v if self.tau is None else torch.cat([v, torch.eye(PIXELS, dtype=torch.float64)])

    @cached_property
    def _inverse(self) -> Tensor:
        variance = self.sigma**2 / self._svd[1] ** 2
        if self.tau is not None:
            variance = torch.cat([variance, torch.full((PIXELS,), self.tau**2, dtype=torch.float64)])
        return torch.linalg.inv(self._rows @ covariance(self.signal + self.noise) @ self._rows.T + torch.diag(variance))


def covariance(power: Tensor) -> Tensor:
    basis = torch.eye(PIXELS, dtype=torch.float64).reshape(PIXELS, BOX, BOX)
    return apply_filter(basis, power).reshape(PIXELS, PIXELS)


@cache
def make_dense(text: str, sigma: float = 0.0, tau: float | None = None) -> Dense:
    operator = parse_operator(text, box=BOX, seed=1)
    basis = torch.eye(PIXELS, dtype=torch.float64).reshape(PIXELS, BOX, BOX)
    signal, noise = curves().grids(BOX, basis)
    return Dense(operator, operator.forward(basis, [0] * PIXELS).T, sigma, tau, signal, noise)


@pytest.fixture(scope="session")
def dense() -> Callable[..., Dense]:
    return make_dense
