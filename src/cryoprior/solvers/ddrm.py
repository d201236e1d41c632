"""Denoising diffusion restoration: the chain runs in the singular system of A, coordinate by coordinate."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.measurement.conditioning import Measurement
from cryoprior.operators import Operator
from cryoprior.prior.denoiser import Denoiser
from cryoprior.random import ParticleNoise
from cryoprior.solvers.base import Solution
from cryoprior.solvers.parts.chain import UNIT, check_chain, falling_levels


@dataclass(frozen=True)
class Ddrm:
    """DDRM: every coordinate of V^T x has a transition of its own, by how its noise sigma / s compares with tau.

    steps: evenly spaced levels of the DDPM schedule; one forward evaluation each.
    eta: part of the noise of a step that is drawn anew, where nothing or too little was measured.
    eta_b: weight of the measurement where it is known better than x_t.
    unit: standard deviations of the prior that make 1 in the scale of [-1, 1], in which the schedule is meant.

    Known bias: what was measured replaces what the network says of it, which is right where measured and unmeasured
    part of an image are independent, as for Fourier masks under a Gaussian prior, and wrong for sums of pixels: there
    the measured part informs the unmeasured one through the network alone.

    Source: Kawar et al. 2022 (arXiv 2201.11793), Eqs. 7 and 8, with the published eta = 0.85, eta_b = 1 and 20 steps.
    """

    steps: int = 20
    eta: float = 0.85
    eta_b: float = 1.0
    unit: float = UNIT
    estimate: ClassVar[str] = "sample"
    needs_prior: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_chain("ddrm", self.steps, self.unit)
        if not 0 <= self.eta <= 1 or not 0 <= self.eta_b <= 1:
            raise InputError(f"ddrm: eta={self.eta}, eta_b={self.eta_b}; expected within 0 and 1")

    def solve(
        self, y: Float[Tensor, "b m"], operator: Operator, prior: Denoiser, sigma: float, noise: ParticleNoise
    ) -> Solution:
        """Return one approximate posterior draw per particle."""
        measurement = Measurement(operator, y, sigma, noise.particles, "ddrm")
        levels = falling_levels(self.steps, self.unit)
        free = levels[0] * noise.normal_like(y.new_empty(len(y), operator.box, operator.box))
        spread = (1 - (measurement.deviation / levels[0]) ** 2).clamp_min(0).sqrt()
        x = _with_coordinates(measurement, free, measurement.z + spread * measurement.analyse(free))  # Eq. 7
        for tau, lower in pairwise(levels):
            x0 = prior(x, x.new_full((len(x),), tau))
            x = self._step(measurement, x, x0, tau, lower, noise.normal_like(x))
        return Solution(x, evaluations=self.steps)

    def _step(
        self, measurement: Measurement, x: Tensor, x0: Tensor, tau: float, lower: float, e: Tensor
    ) -> Float[Tensor, "b box box"]:
        """Return a draw at the lower level. Source: Eq. 8, its three cases."""
        kept, drawn = (1 - self.eta**2) ** 0.5 * lower, self.eta * lower
        free = x0 + kept / tau * (x - x0) + drawn * e
        x0_z, e_z, deviation = measurement.analyse(x0), measurement.analyse(e), measurement.deviation
        noisy = x0_z + kept * (measurement.z - x0_z) / deviation.clamp_min(torch.finfo(x.dtype).tiny) + drawn * e_z
        left = (lower**2 - (self.eta_b * deviation) ** 2).clamp_min(0).sqrt()
        known = x0_z + self.eta_b * (measurement.z - x0_z) + left * e_z
        return _with_coordinates(measurement, free, torch.where(deviation <= lower, known, noisy))


def _with_coordinates(
    measurement: Measurement, x: Float[Tensor, "b box box"], z: Float[Tensor, "b r"]
) -> Float[Tensor, "b box box"]:
    """Return x with its measured coordinates replaced by z."""
    return x + measurement.synthesise(z - measurement.analyse(x))
