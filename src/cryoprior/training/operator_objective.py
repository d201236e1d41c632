"""What an operator-aware network learns: the signal of images that were measured by random operators."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cryoprior.image.spectrum import apply_filter
from cryoprior.measurement.conditioning import Measurement
from cryoprior.prior.evidence import Evidence, evidence_of_measurement
from cryoprior.training.draws import BatchDraws
from cryoprior.training.objectives import (
    TAU_LOG_DEVIATION,
    TAU_LOG_MEAN,
    VALIDATION_BATCH,
    SignalObjective,
    correlation,
    relative_error,
)
from cryoprior.training.operator_pool import POOL, OperatorPool

UNCONDITIONAL, MEAN = 0.25, 0.45
"""Shares of the batches that show a noisy image alone, and a measurement alone; the others show both."""
TOLERANCE = 1e-2


@dataclass(frozen=True)
class OperatorObjective:
    """E|S(evidence) - s|^2 in units of the error of the linear estimate, for y = A (s + n) + sigma e of random A.

    A quarter of the batches are noisy images without a measurement, so that the network stays an ordinary denoiser. The
    target is the clean image, so the noise is integrated out of it; without clean images s is the particle itself,
    n = 0, and where sigma = 0 only the part that y does not show is judged.

    base: the objective on noisy images, which also holds the spectra. operators: for the box of the images.
    """

    base: SignalObjective
    operators: OperatorPool

    @property
    def family(self) -> dict[str, Any]:
        """Return the operators that are drawn, as fields of OperatorFamily."""
        return asdict(self.operators.family)

    def loss(self, network: nn.Module, images: Float[Tensor, "b box box"], draws: BatchDraws) -> Float[Tensor, "b"]:
        """Return the loss per image; operator and level are drawn for all of them alike, noise for each."""
        choice = float(torch.rand((), generator=draws.together))
        if choice < UNCONDITIONAL:
            return self.base.loss(network, images, draws)
        level = torch.randn((), generator=draws.together) * TAU_LOG_DEVIATION + TAU_LOG_MEAN
        tau = None if choice < UNCONDITIONAL + MEAN else float(level.exp())
        number = int(torch.randint(POOL, (), generator=draws.together))
        return self.loss_at(network, images, number, tau, draws)

    def loss_at(
        self, network: nn.Module, images: Tensor, number: int, tau: float | None, draws: BatchDraws
    ) -> Float[Tensor, "b"]:
        """Return the loss per image under operator ``number``, with x_t at level tau where one is given."""
        with torch.no_grad():
            measurement, evidence = self._evidence(images, number, tau, draws)
        error = network(evidence) - images
        if not bool(self.base.noise.any()) and measurement.sigma == 0:
            error = error - measurement.synthesise(measurement.analyse(error))
        return relative_error(error, evidence)

    def correlations(
        self, network: nn.Module, images: Tensor, noise: Float[Tensor, "b box half"], draws: BatchDraws
    ) -> dict[str, float]:
        """Return the correlations on noisy images, and that of estimates from measurements by operators not trained on.

        What is compared is the image with the noise of the data set integrated out: the estimate of the signal.
        """
        denoised = self.base.correlations(network, images, noise, draws)
        device = next(network.parameters()).device
        values = []
        for number, part in enumerate(torch.split(images, VALIDATION_BATCH), start=POOL):
            _, evidence = self._evidence(part.to(device), number, None, draws)
            values.append(correlation(network(evidence).cpu(), part))
        return denoised | {f"{images.shape[-1]}px measured": float(torch.cat(values).mean())}

    def _evidence(
        self, images: Tensor, number: int, tau: float | None, draws: BatchDraws
    ) -> tuple[Measurement, Evidence]:
        kind = draws.integers(len(self.base.noise), len(images))
        noise = self.base.noise[kind].to(images)
        x0 = images + apply_filter(draws.normal_like(images), noise.sqrt())
        operator, sigma = self.operators[number]
        first = int(torch.randint(2**20, (), generator=draws.together)) + draws.first
        particles = range(first, first + len(images))
        y = operator.forward(x0, particles)
        y = y + sigma * draws.normal_like(y)
        measurement = Measurement(operator, y, sigma, particles, "training")
        x = None if tau is None else x0 + tau * draws.normal_like(x0)
        signal = self.base.signal.to(images)
        return measurement, evidence_of_measurement(measurement, x, tau, signal, noise, tolerance=TOLERANCE)
