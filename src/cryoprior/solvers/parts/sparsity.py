"""What solvers that look for the sparsest fitting image share: units of the particle's own, and one splitting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from scipy.fft import dct
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.measurement.conditioning import Measurement

Images = Float[Tensor, "b box box"]


class Problem:
    """R(x) against ||y - A x||^2 / (2 sigma^2), each particle in a grey scale of its own.

    x = unit * u + offset. The offset is the constant image that fits y best, the unit the rms of A+y about it, so
    that results follow any offset and scale of y. Coordinates with singular values below the set's median count in
    the rms by s^2 only: where A is badly conditioned, amplified noise would be all that it measures.

    weight: of R(u), which is taken as that much less trust in the measurement: R(u) is left with weight 1.
    """

    def __init__(self, measurement: Measurement, weight: float) -> None:
        self.measurement, box = measurement, measurement.operator.box
        flat = measurement.analyse(measurement.y.new_ones(len(measurement.y), box, box))
        flatness = flat.square().sum(dim=1, keepdim=True)
        offset = (flat * measurement.z).sum(dim=1, keepdim=True) / flatness
        offset = torch.where(flatness > 1e-6 * box**2, offset, 0)  # an operator may be blind to the mean
        unit = _rms(measurement, measurement.z - offset * flat)
        self.offset, self.unit = offset[..., None], unit[..., None]
        self.z = (measurement.z - offset * flat) / unit
        self.variance = weight * (measurement.deviation / unit).square()

    @property
    def start(self) -> Images:
        """Return the least-squares image in these units."""
        return self.measurement.synthesise(self.z)

    def data_step(self, v: Images, step: float) -> Images:
        """Return argmin_u ||z - V^T u||^2 / (2 variance) + ||u - v||^2 / (2 step), which meets z where sigma = 0."""
        gain = step / (step + self.variance)
        return v + self.measurement.synthesise(gain * (self.z - self.measurement.analyse(v)))

    def images(self, u: Images) -> Images:
        """Return x in the grey scale of y, exactly on y where sigma = 0."""
        return self.measurement.fit(self.unit * u + self.offset)


@dataclass(frozen=True)
class Basis:
    """An orthonormal transform of images, and which of its coefficients are to be few.

    forward, inverse: images to coefficients and back, both (b, box, box).
    penalised: 1 for coefficients that count, 0 for the mean, (box, box).
    """

    forward: Callable[[Images], Images]
    inverse: Callable[[Images], Images]
    penalised: Float[Tensor, "box box"]

    def penalty(self, x: Images) -> Float[Tensor, "b"]:
        """Return R(x), the sum of |c| over the penalised coefficients."""
        return (self.penalised * self.forward(x)).abs().sum(dim=(1, 2))

    def shrink(self, x: Images, threshold: float) -> Images:
        """Return argmin_u threshold * R(u) + ||u - x||^2 / 2: coefficients shrunk towards 0."""
        c, t = self.forward(x), threshold * self.penalised
        return self.inverse(c - torch.minimum(torch.maximum(c, -t), t))


def douglas_rachford(problem: Problem, basis: Basis, step: float, iterations: int) -> Images:
    """Return the images after a fixed number of iterations; each ends on the data step, so it fits y where sigma = 0.

    Source: Lions and Mercier 1979; Combettes and Pesquet 2011, section 4, with relaxation 1.
    """
    v = problem.start
    for _ in range(iterations):
        u = problem.data_step(v, step)
        v = v + basis.shrink(2 * u - v, step) - u
    return problem.images(problem.data_step(v, step))


@lru_cache(maxsize=8)
def cosines(n: int) -> Float[np.ndarray, "n n"]:
    """Return the orthonormal DCT-II of n samples as a matrix in float64, one frequency per row."""
    matrix: np.ndarray = dct(np.eye(n), type=2, norm="ortho", axis=0)
    return matrix


def check_options(name: str, weight: float, step: float, iterations: int) -> None:
    """Raise InputError for options that no sparse solver takes."""
    if not weight > 0 or not step > 0:
        raise InputError(f"{name}: weight={weight}, step={step}; expected both above 0")
    if iterations < 1:
        raise InputError(f"{name}: iterations={iterations}; expected at least 1")


def _rms(measurement: Measurement, z: Float[Tensor, "b r"]) -> Float[Tensor, "b 1"]:
    """Return the rms over the pixels of V z, 1 where it is 0."""
    s = measurement.operator.singular_values(measurement.particles, like=z)
    middle = torch.where(s > 0, s, torch.nan).nanmedian(dim=1, keepdim=True).values
    trust = (s / middle).square().clamp_max(1)
    power = (trust * z.square()).sum(dim=1, keepdim=True) / trust.sum(dim=1, keepdim=True)
    share = measurement.known.mean(dim=1, keepdim=True) * measurement.operator.r / measurement.operator.n
    rms = (power * share).sqrt()
    return torch.where(rms > 0, rms, 1)
