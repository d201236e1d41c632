"""Images of a few templates in stationary Gaussian noise: a prior that is not Gaussian, with a known posterior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cryoprior.image.spectrum import apply_filter, pair_weight, power_spectrum
from cryoprior.operators import Operator
from cryoprior.prior.evidence import Evidence


@dataclass(frozen=True)
class Mixture:
    """x0 = s + n: s is one of the templates, (k, box, box), all as likely, and n Gaussian of this power."""

    templates: Tensor
    noise: Tensor

    def draw(self, count: int, seed: int) -> Tensor:
        stream = torch.Generator().manual_seed(seed)
        which = torch.randint(len(self.templates), (count,), generator=stream)
        white = torch.randn(count, *self.templates.shape[1:], generator=stream, dtype=torch.float64)
        return self.templates[which] + apply_filter(white, self.noise.sqrt())

    def signal(self, x: Tensor, tau: Tensor) -> Tensor:
        """Return E[s | x0 + tau e = x]."""
        box, total = x.shape[-1], self.noise + tau.to(x)[:, None, None] ** 2
        left = torch.fft.rfft2(x[:, None] - self.templates.to(x), norm="ortho").abs().square()
        distance = (left / total[:, None] * pair_weight(box).to(x)).sum((-2, -1))
        return torch.einsum("bk,khw->bhw", (-distance / 2).softmax(1), self.templates.to(x))

    def __call__(self, x: Tensor, tau: Tensor) -> Tensor:
        """Return E[x0 | x0 + tau e = x]."""
        signal, gain = self.signal(x, tau), self.noise / (self.noise + tau.to(x)[:, None, None] ** 2)
        return signal + apply_filter(x - signal, gain)

    def spectrum(self, box: int) -> Tensor:
        return power_spectrum(self.templates) + self.noise

    def components(self, box: int, like: Tensor) -> tuple[Tensor, Tensor]:
        return power_spectrum(self.templates).to(like), self.noise.to(like)

    def posterior(self, y: Tensor, operator: Operator, sigma: float) -> tuple[Tensor, Tensor]:
        """Return E[x0 | y] and E[s | y] of particles that were all measured with the first masks, by dense matrices."""
        n, shape = operator.n, (-1, operator.box, operator.box)
        basis = torch.eye(n, dtype=torch.float64).reshape(shape)
        a = operator.forward(basis, [0] * n).T
        p = apply_filter(basis, self.noise).flatten(1)
        u, s, vh = torch.linalg.svd(a, full_matrices=False)
        kept = s > 1e-7 * s.max()
        v, z = vh[kept].T, (y @ u[:, kept]) / s[kept]
        covariance = v.T @ p @ v + torch.diag(sigma**2 / s[kept] ** 2)
        left = z[:, None] - (self.templates.flatten(1) @ v)[None]  # (b, k, r)
        whitened = torch.linalg.solve(covariance, left.mT).mT
        weights = (-(left * whitened).sum(-1) / 2).softmax(1)
        means = self.templates.flatten(1)[None] + whitened @ (p @ v).T
        mean = torch.einsum("bk,bkn->bn", weights, means)
        return mean.reshape(shape), torch.einsum("bk,khw->bhw", weights, self.templates)


@dataclass(frozen=True)
class Knowing(Mixture):
    """The same, as an operator-aware network that has learned everything: it knows E[s | y] of these measurements."""

    answer: Tensor
    operator_aware: bool = True
    means_only: bool = False

    def estimate(self, evidence: Evidence) -> Tensor:
        return self.answer


def make_mixture(box: int = 16, count: int = 4, amplitude: float = 1.0, seed: int = 0) -> Mixture:
    """Return smooth templates of mean 0 and of this deviation, in noise of deviation 1."""
    frequency = torch.fft.fftfreq(box, dtype=torch.float64)[:, None] ** 2
    radius = (frequency + torch.fft.rfftfreq(box, dtype=torch.float64)[None] ** 2).sqrt()
    white = torch.randn(count, box, box, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    templates = apply_filter(white, torch.exp(-((8 * radius) ** 2)))
    templates = templates - templates.mean(0)
    templates = amplitude * templates / templates.std()
    return Mixture(templates, torch.ones(box, box // 2 + 1, dtype=torch.float64) * (1.3 - 0.8 * radius))


def distance(found: Tensor, expected: Tensor) -> float:
    """Return the root mean square distance over all particles."""
    return float((found - expected).square().mean().sqrt())


__all__: Sequence[str] = ("Knowing", "Mixture", "distance", "make_mixture")
