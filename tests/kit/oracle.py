"""The posterior of a Gaussian prior by dense linear algebra: what every solver is held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from cryoprior.image.spectrum import apply_filter
from cryoprior.operators import Operator, parse_operator
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.random import ParticleNoise


def make_spectrum(box: int) -> torch.Tensor:
    ky = torch.fft.fftfreq(box, dtype=torch.float64)[:, None]
    kx = torch.fft.rfftfreq(box, dtype=torch.float64)[None]
    power = 0.1 + 8 * torch.exp(-30 * (ky**2 + kx**2))
    full = torch.cat([power, power[:, 1 : (box + 1) // 2]], dim=1)
    return power / full.mean()


@dataclass(frozen=True)
class Oracle:
    """One image, measured, with the mean and the covariance of its posterior."""

    operator: Operator
    prior: GaussianPrior
    y: torch.Tensor
    sigma: float
    mean: torch.Tensor
    covariance: torch.Tensor

    def noise(self, b: int) -> ParticleNoise:
        return ParticleNoise(3, "test", range(b))


def make_oracle(text: str, box: int = 16, sigma: float = 0.0) -> Oracle:
    n = box**2
    operator = parse_operator(text, box=box, seed=1)
    prior = GaussianPrior(make_spectrum(box))
    basis = torch.eye(n, dtype=torch.float64).reshape(n, box, box)
    a = operator.forward(basis, [0] * n).T
    p = apply_filter(basis, prior.power).reshape(n, n)
    stream = torch.Generator().manual_seed(5)
    x = prior.draw(torch.randn(1, box, box, dtype=torch.float64, generator=stream))
    y = operator.forward(x, [0]) + sigma * torch.randn(1, operator.m, dtype=torch.float64, generator=stream)
    u, s, vh = torch.linalg.svd(a, full_matrices=False)
    kept = s > 1e-7 * s.max()
    v, z = vh[kept].T, (y @ u[:, kept]) / s[kept]
    gain = p @ v @ torch.linalg.inv(v.T @ p @ v + torch.diag(sigma**2 / s[kept] ** 2))
    return Oracle(operator, prior, y, sigma, (z @ gain.T).reshape(1, box, box), p - gain @ v.T @ p)


@pytest.fixture(scope="session")
def oracle() -> Callable[..., Oracle]:
    return make_oracle
