"""What a candidate leaves of particles, tried on examples: bytes on disk, and the share of their worth by shell.

With N the power of the noise of an image in a shell, a candidate that leaves the share p of the coefficients, the gain
h of what it leaves, and adds errors of power E, leaves what p / (1 + E / (p h^2 N)) of the particles would have said.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.image.spectrum import apply_filter, power_spectrum, radial_average
from cryoprior.operators import Operator, rounded, with_levels
from cryoprior.planning.candidates import Candidate
from cryoprior.random import ParticleNoise
from cryoprior.storage import Encoding, stored_images

EXAMPLES = 64
LEAST_SHARE = 1e-6
"""Of a shell's power; below it nothing was kept there."""

Curve = Float[Tensor, " shells"]


@dataclass(frozen=True, eq=False)
class Examples:
    """Images as they are recorded, (n, box, box), with their numbers in the stack, and the power of their noise."""

    images: Float[Tensor, "n box box"]
    particles: list[int]
    noise: Curve

    @classmethod
    def drawn(cls, snr: Curve, box: int, seed: int) -> Examples:
        """Return images with the law of a spectrum: white noise of deviation 1, and a Gaussian signal of this SNR."""
        from cryoprior.image.spectrum import radial_filter

        frequency = torch.arange(len(snr), dtype=torch.float64) / box
        particles = list(range(EXAMPLES))
        white = ParticleNoise(seed, "plan/examples", particles).normal_like(torch.empty(EXAMPLES, box, box))
        images = apply_filter(white.double(), (1 + radial_filter(snr.double(), frequency, box)).sqrt()).float()
        return cls(images, particles, torch.ones_like(snr))


@dataclass(frozen=True, eq=False)
class Kept:
    """Bytes that a particle takes on disk, and its worth in whole particles by shell, (shells,), 0 to 1."""

    bytes_per_particle: float
    worth: Curve


def kept_by(candidate: Candidate, examples: Examples, seed: int = 0) -> Kept:
    """Return what a candidate leaves of examples."""
    if isinstance(candidate.way, Encoding):
        return _encoded(candidate.way, examples)
    return _measured(candidate.way, examples, seed)


def _encoded(encoding: Encoding, examples: Examples) -> Kept:
    stored = stored_images(examples.images.numpy(), encoding)
    before, after = (
        torch.fft.rfft2(x.double(), norm="ortho") for x in (examples.images, torch.from_numpy(stored.images))
    )
    power = by_shell(before.abs().square().mean(0))
    gain = by_shell((after * before.conj()).real.mean(0)) / power.clamp_min(1e-300)
    error = (by_shell(after.abs().square().mean(0)) - gain.square() * power).clamp_min(0)
    worth = gain.square() * examples.noise / (gain.square() * examples.noise + error).clamp_min(1e-300)
    return Kept(stored.bytes_per_particle, worth.clamp(0, 1))


def _measured(operator: Operator, examples: Examples, seed: int) -> Kept:
    x, particles = examples.images, examples.particles
    white = ParticleNoise(seed, "plan/white", particles).normal_like(x)
    seen = torch.fft.rfft2(operator.project(white, particles).double(), norm="ortho")
    own = torch.fft.rfft2(white.double(), norm="ortho")
    share = by_shell((seen * own.conj()).real.mean(0)) / by_shell(own.abs().square().mean(0))
    worth = share.clamp(0, 1)
    if operator.bits is not None:
        y = operator.forward(x, particles)
        operator = with_levels(operator, y, particles)
        error = operator.pinv(rounded(operator, y, particles) - y, particles)
        noise = share.clamp_min(LEAST_SHARE) * examples.noise
        worth = worth / (1 + by_shell(power_spectrum(error)) / noise)
    return Kept(float(operator.bytes_per_particle), torch.where(share > LEAST_SHARE, worth, 0.0))


def by_shell(power: Float[Tensor, "box half"]) -> Curve:
    """Return the mean of a quantity of the rfft2 grid by shell, 0 to box // 2."""
    return radial_average(power)[: len(power) // 2 + 1]
