"""What a measurement says about an image whose law is a stationary Gaussian around a guess."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryoprior.image.spectrum import apply_filter, pixel_variance, power_spectrum, radial_average
from cryoprior.measurement.conjugate_gradients import conjugate_gradients
from cryoprior.operators import Operator, require_linear
from cryoprior.operators.rounding import coordinate_noise, frequency_noise, number_noise
from cryoprior.random import ParticleNoise

FLAT = 4.0  # largest over smallest value of C below which a preconditioner with two more products does not pay


class Measurement:
    """y = A x + N(0, sigma^2 I), ready to condition x ~ N(guess, F^-1 C F) on it.

    Operators diagonal in the FFT have a closed form; for the others the equations are solved in the operator's
    singular system, z = V^T x + N(0, sigma^2 / s^2), where V^T C V is well conditioned because C is nearly flat,
    however badly A is conditioned.

    solver: the name that the InputError for an operator without a matrix gives.
    keep: 0 for coordinates z that are left aside as if they had not been measured, else 1, (b, r); all by default.
    """

    def __init__(
        self,
        operator: Operator,
        y: Float[Tensor, "b m"],
        sigma: float,
        particles: Sequence[int],
        solver: str,
        keep: Float[Tensor, "b r"] | None = None,
    ) -> None:
        require_linear(operator, solver)
        self.operator, self.y, self.sigma, self.particles, self.keep = operator, y, sigma, particles, keep
        self.diagonal = self._diagonal()
        if self.diagonal is not None:
            self.seen = self.diagonal > 0
            s = operator.singular_values(particles, like=y)
            back = operator.adjoint(y, particles) if keep is None else self.synthesise(s**2 * self.z)
            self.back_projection = _fourier(back)

    @cached_property
    def z(self) -> Float[Tensor, "b r"]:
        """Return the coordinates of y, V^T x plus noise."""
        return self._kept(self.operator.coordinates(self.y, self.particles))

    @cached_property
    def known(self) -> Float[Tensor, "b r"]:
        """Return 1 for coordinates that were measured, 0 for padding, dependent and left-out ones."""
        s = self.operator.singular_values(self.particles, like=self.y)
        return self._kept((s > 0).to(self.y).expand(len(self.y), -1))

    @cached_property
    def deviation(self) -> Float[Tensor, "b r"]:
        """Return the noise of every coordinate, sigma / s; of rounded numbers each has its own."""
        return coordinate_noise(self.operator, self.sigma, self.particles, like=self.y)

    @cached_property
    def noise_power(self) -> Float[Tensor, "*plane"]:
        """Return the variance of the noise of y by frequency where A is diagonal in the FFT, else sigma^2."""
        if self.diagonal is None:
            return self.y.new_tensor(self.sigma**2)
        return frequency_noise(self.operator, self.sigma, self.diagonal)

    @property
    def whole(self) -> bool:
        """Return whether y is an image with all its frequencies, under stationary noise."""
        return self.diagonal is not None and bool(self.seen.all())

    @property
    def image(self) -> tuple[Float[Tensor, "b box box"], Float[Tensor, "*b box half"]]:
        """Return A+ y and the power of its noise by frequency, of a measurement that is :attr:`whole`."""
        assert self.diagonal is not None
        x: Tensor = torch.fft.irfft2(self.back_projection / self.diagonal, s=(self.operator.box,) * 2, norm="ortho")
        return x, self.noise_power / self.diagonal

    @cached_property
    def silent(self) -> Measurement:
        """Return the measurement of nothing: what it conditions varies as x given y does, around 0."""
        return Measurement(self.operator, torch.zeros_like(self.y), self.sigma, self.particles, "silent", self.keep)

    def analyse(self, x: Float[Tensor, "b box box"]) -> Float[Tensor, "b r"]:
        """Return V^T x, 0 where left out."""
        return self._kept(self.operator.analyse(x, self.particles))

    def synthesise(self, z: Float[Tensor, "b r"]) -> Float[Tensor, "b box box"]:
        """Return V z, whatever stands in coordinates that are left out."""
        return self.operator.synthesise(self._kept(z), self.particles)

    def _diagonal(self) -> Float[Tensor, "b box half"] | None:
        """Return the eigenvalues of A^T A in the FFT, 0 where left aside; None where the FFT is no eigenbasis."""
        diagonal = self.operator.fourier_diagonal(self.particles, like=self.y)
        if diagonal is None or self.keep is None:
            return diagonal
        # Coefficients with all their numbers at one have unit power, those with half of them half of it.
        power = _fourier(self.operator.synthesise(self.keep, self.particles)).abs().square()
        whole = (power > 0.75) | (power < 0.25)
        return diagonal * (power > 0.75) if bool(whole.all()) else None

    def _kept(self, z: Float[Tensor, "b r"]) -> Float[Tensor, "b r"]:
        return z if self.keep is None else z * self.keep

    def condition(
        self,
        guess: Float[Tensor, "b box box"],
        covariance: Float[Tensor, "*c box half"],
        noise: ParticleNoise | None = None,
        *,
        tolerance: float = 1e-4,
        limit: int = 200,
    ) -> Float[Tensor, "b box box"]:
        """Return E[x | y] for x ~ N(guess, C); with ``noise``, a draw from the law of x given y.

        guess + C A^T (A C A^T + sigma^2 I)^-1 (y - A guess). A draw is the same expression after the guess was
        perturbed by N(0, C) and y by N(0, sigma^2 I). Source: Papandreou and Yuille 2010 (perturb and solve).

        covariance: C by rfft2 frequency, positive.
        tolerance, limit: of conjugate gradients, for operators that need them.
        """
        if self.diagonal is not None:
            return self._filtered(guess, covariance, noise)
        if noise is not None:
            guess = guess + apply_filter(noise.normal_like(guess), covariance.sqrt())
        misfit = self.z - self.analyse(guess)
        if noise is not None and self.sigma > 0:
            misfit = misfit + self._kept(self.deviation * noise.normal_like(misfit))
        return guess + self._solved(misfit, covariance, tolerance, limit)

    def fit(self, x: Float[Tensor, "b box box"]) -> Float[Tensor, "b box box"]:
        """Return the nearest image that reproduces y where sigma = 0, else x: rounding and tolerances end here."""
        if self.sigma > 0:
            return x
        misfit = self.z - self.analyse(x)
        return x + self.synthesise(misfit)

    def _filtered(
        self, guess: Float[Tensor, "b box box"], covariance: Float[Tensor, "*c box half"], noise: ParticleNoise | None
    ) -> Float[Tensor, "b box box"]:
        assert self.diagonal is not None
        spectrum, data = _fourier(guess), self.back_projection
        if noise is not None:
            spectrum = spectrum + covariance.sqrt() * _fourier(noise.normal_like(guess))
            if self.sigma > 0:
                spread = number_noise(self.operator, self.sigma, self.particles, like=self.y)
                data = data + _fourier(self.operator.adjoint(spread * noise.normal_like(self.y), self.particles))
        gain = covariance / torch.where(self.seen, covariance * self.diagonal + self.noise_power, 1)
        spectrum = spectrum + torch.where(self.seen, gain, 0) * (data - self.diagonal * spectrum)
        conditioned: Tensor = torch.fft.irfft2(spectrum, s=guess.shape[-2:], norm="ortho")
        return conditioned

    def _solved(
        self, misfit: Float[Tensor, "b r"], covariance: Float[Tensor, "*c box half"], tolerance: float, limit: int
    ) -> Float[Tensor, "b box box"]:
        """Return C V (V^T C V + sigma^2 S^-2)^-1 misfit."""
        variance = self.deviation**2

        def spread(w: Float[Tensor, "b r"]) -> Float[Tensor, "b box box"]:
            return apply_filter(self.synthesise(w), covariance)

        def system(w: Float[Tensor, "b r"]) -> Float[Tensor, "b r"]:
            return self.analyse(spread(w)) + variance * w

        precondition = self._preconditioner(covariance, variance)
        return spread(conjugate_gradients(system, misfit, precondition, tolerance=tolerance, limit=limit))

    def _preconditioner(
        self, covariance: Float[Tensor, "*c box half"], variance: Float[Tensor, "b r"]
    ) -> Callable[[Float[Tensor, "b r"]], Float[Tensor, "b r"]]:
        """Return an approximation of (V^T C V + variance)^-1.

        Where C is flat its mean does. Elsewhere V^T C^-1 V, which is the inverse if V is square and cuts iterations
        to a third if not, acts on the coordinates that are known well; the mean serves the noisy ones.
        """
        diagonal = pixel_variance(covariance)[..., None] + variance
        if float(covariance.max()) < FLAT * float(covariance.min()):
            return lambda w: w / diagonal
        known = 1 - variance / diagonal
        noise_floor = variance.median(dim=1).values[:, None, None]
        inverse = 1 / (covariance + noise_floor)

        def precondition(w: Float[Tensor, "b r"]) -> Float[Tensor, "b r"]:
            x = apply_filter(self.synthesise(known * w), inverse)
            return known * self.analyse(x) + (1 - known) / diagonal * w

        return precondition


def floored(power: Float[Tensor, "*b box half"]) -> Float[Tensor, "*b box half"]:
    """Return the spectrum with empty frequencies raised to a millionth of the mean, so that no law is degenerate."""
    return power.clamp_min(1e-6 * float(power.mean()))


def seen_share(
    operator: Operator, particles: Sequence[int], like: Float[Tensor, "b box box"]
) -> Float[Tensor, "shells"]:
    """Return the mean share of each shell's power that lies in the row space of A, (shells,), from random images."""
    white = ParticleNoise(0, "seen", particles).normal_like(like)
    seen = operator.project(white, particles)
    cross = torch.fft.rfft2(white, norm="ortho") * torch.fft.rfft2(seen, norm="ortho").conj()
    return radial_average(cross.real.double().mean(0)) / radial_average(power_spectrum(white))


def _fourier(x: Float[Tensor, "b box box"]) -> Complex[Tensor, "b box half"]:
    spectrum: Tensor = torch.fft.rfft2(x, norm="ortho")
    return spectrum
