"""What a network learns where nobody recorded a full image: a withheld part of each measurement from the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cryoprior.image.spectrum import pixel_variance
from cryoprior.measurement.conditioning import Measurement
from cryoprior.operators import Operator
from cryoprior.prior.evidence import evidence_of_measurement
from cryoprior.training.draws import BatchDraws
from cryoprior.training.measured import MeasuredBatch

SHARE = (0.02, 0.6)
"""Least and largest share of a particle's coordinates that is withheld; the small ones are nearest to use."""
TOLERANCE = 1e-2


@dataclass(frozen=True)
class WithheldObjective:
    """E|V_W^T S(evidence of the coordinates B) - z_W|^2, B and W a random split of what was measured of a particle.

    White noise on y is independent from one singular coordinate to another, so the minimiser is the posterior mean
    given B, in the directions of W; as masks vary from particle to particle these are all directions. Noisy coordinates
    weigh little. The unit is the variance of a pixel.

    signal: power of the images on the rfft2 grid. sigma: noise on y, in the prior's grey scale.

    Source: self-supervision by splitting measurements (Yaman et al. 2020, doi 10.1002/mrm.28378); docs/theory.md.
    """

    signal: Float[Tensor, "box half"]
    operator: Operator
    sigma: float

    def loss(self, network: nn.Module, images: MeasuredBatch, draws: BatchDraws) -> Float[Tensor, "b"]:
        """Return the loss per particle; the split is drawn."""
        y, particles = images.y, images.particles
        signal = self.signal.to(y)
        keep = self._draw(particles, draws).to(y)
        with torch.no_grad():
            shown = Measurement(self.operator, y, self.sigma, particles, "training", keep)
            evidence = evidence_of_measurement(shown, None, None, signal, torch.zeros_like(signal), tolerance=TOLERANCE)
            whole = Measurement(self.operator, y, self.sigma, particles, "training")
            variance = pixel_variance(signal)
            weight = whole.known * (1 - keep) * variance / (variance + whole.deviation**2)
        error = whole.z - whole.analyse(network(evidence))
        loss: Tensor = (weight * error.square()).sum(1) / weight.sum(1).clamp_min(1.0) / variance
        return loss

    def correlations(
        self, network: nn.Module, images: MeasuredBatch, noise: Tensor, draws: BatchDraws
    ) -> dict[str, float]:
        """Return nothing: the images are not known."""
        return {}

    def _draw(self, particles: Sequence[int], draws: BatchDraws) -> Float[Tensor, "b r"]:
        """Return 0 for coordinates that are withheld, 1 for the others; what was measured together stays together."""
        share = SHARE[0] + (SHARE[1] - SHARE[0]) * draws.uniform(len(particles), 1)
        groups = self.operator.groups(particles)
        draw = draws.uniform(len(particles), int(groups.max()) + 1).gather(1, groups)
        return (draw >= share).float()
