"""What a network learns: the signal under noise of a known spectrum (ours), or the noise of a DDPM (the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cryoprior.image.spectrum import apply_filter
from cryoprior.prior.evidence import Evidence, evidence_of_image
from cryoprior.prior.schedule import alpha_bars, linear_betas
from cryoprior.training.draws import BatchDraws

TAU_LOG_MEAN, TAU_LOG_DEVIATION = 0.0, 1.3
"""Noise levels are log-normal, in units of the images' deviation. Source: Karras 2022, table 1, shifted by trial."""


VALIDATION_TAUS = (0.0, 1.0, 3.0)
VALIDATION_BATCH = 16


@runtime_checkable
class Objective(Protocol):
    """What a training run minimises, and what its log shows beside the loss."""

    def loss(self, network: nn.Module, images: Any, draws: BatchDraws) -> Float[Tensor, "b"]:
        """Return the loss per image, or per particle where only measurements are known."""
        ...

    def correlations(
        self, network: nn.Module, images: Any, noise: Float[Tensor, "b box half"], draws: BatchDraws
    ) -> dict[str, float]:
        """Return the mean correlation of estimates with held-out images, by what was known; noise: their power."""
        ...


@dataclass(frozen=True)
class SignalObjective:
    """E|S(s + n; T) - s|^2 in units of the Wiener error, T = N + tau^2 with N the noise of a random data set.

    The target is the conditional expectation given the clean image, so the noise is integrated out of it; without
    clean images s is the particle itself and N = 0, the ordinary denoising loss.
    """

    signal: Float[Tensor, "box half"]
    noise: Float[Tensor, "k box half"]

    def loss(self, network: nn.Module, images: Float[Tensor, "b box box"], draws: BatchDraws) -> Float[Tensor, "b"]:
        """Return the loss per image; noise, its level and its spectrum are drawn."""
        b = len(images)
        kind = draws.integers(len(self.noise), b)
        level = draws.normal_like(torch.empty(b)) * TAU_LOG_DEVIATION + TAU_LOG_MEAN
        white = draws.normal_like(images)
        total = self.noise[kind].to(images) + level.exp().to(images)[:, None, None] ** 2
        return self.loss_at(network, images, total, white)

    def loss_at(
        self, network: nn.Module, images: Tensor, total: Float[Tensor, "b box half"], white: Tensor
    ) -> Float[Tensor, "b"]:
        """Return the loss per image under the given noise power and white noise."""
        evidence = evidence_of_image(images + apply_filter(white, total.sqrt()), self.signal.to(images), total)
        return relative_error(network(evidence) - images, evidence)

    def correlations(
        self, network: nn.Module, images: Tensor, noise: Float[Tensor, "b box half"], draws: BatchDraws
    ) -> dict[str, float]:
        """Return the correlation of denoised with clean images, by box and noise level."""
        white = draws.normal_like(images)
        box, device = images.shape[-1], next(network.parameters()).device
        means = {}
        for tau in VALIDATION_TAUS[1:] if not bool(noise.any()) else VALIDATION_TAUS:
            values = []
            parts = (torch.split(part, VALIDATION_BATCH) for part in (images, noise + tau**2, white))
            for image, total, draw in zip(*parts, strict=True):
                x = (image + apply_filter(draw, total.sqrt())).to(device)
                estimate = network(evidence_of_image(x, self.signal.to(device), total.to(device))).cpu()
                values.append(correlation(estimate, image))
            means[f"{box}px tau={tau:g}"] = float(torch.cat(values).mean())
        return means


def relative_error(error: Float[Tensor, "b box box"], evidence: Evidence) -> Float[Tensor, "b"]:
    """Return the mean square error in units of that of the linear estimate."""
    loss: Tensor = error.square().mean((-2, -1)) / evidence.error**2
    return loss


def correlation(a: Float[Tensor, "b box box"], b: Float[Tensor, "b box box"]) -> Float[Tensor, "b"]:
    """Return the correlation coefficient over the pixels of each pair, (b,)."""
    a, b = (part.double().flatten(1) for part in (a, b))
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    coefficient: Tensor = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(1e-30)
    return coefficient


@dataclass(frozen=True)
class DdpmObjective:
    """|e - network(sqrt(abar_t) z + sqrt(1 - abar_t) e, t)|^2, z the image on the scale [-1, 1].

    Source: Ho 2020, equation 14; the paper's appendix A.2.
    """

    scale: float
    offset: float

    def loss(self, network: nn.Module, images: Float[Tensor, "b box box"], draws: BatchDraws) -> Float[Tensor, "b"]:
        """Return the loss per image; time steps and noise are drawn."""
        alpha_bar = alpha_bars(linear_betas())
        time = draws.integers(len(alpha_bar), len(images))
        noise = draws.normal_like(images)
        keep = alpha_bar[time].to(images)[:, None, None]
        noisy = keep.sqrt() * (self.scale * images + self.offset) + (1 - keep).sqrt() * noise
        predicted = network(noisy[:, None], time.to(images.device)).sample[:, 0]
        loss: Tensor = (predicted - noise).square().mean((-2, -1))
        return loss

    def correlations(
        self, network: nn.Module, images: Tensor, noise: Float[Tensor, "b box half"], draws: BatchDraws
    ) -> dict[str, float]:
        """Return nothing: this objective's loss says it all."""
        return {}
