"""The prior of a power spectrum: images whose Fourier coefficients are independent Gaussians."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.spectrum import apply_filter, shell_index
from cryoprior.prior.evidence import Evidence


class GaussianPrior:
    """x0 ~ N(0, F^-1 P F): the oracle of the tests and a baseline; every conditional has a closed form.

    Parameters
    ----------
    spectrum: P_k = E|X_k|^2 on the orthonormal rfft2 grid, (box, box // 2 + 1), not negative.
    noise: the part of it that is noise, where x0 is a signal and noise; none by default.

    Raises
    ------
    InputError: a spectrum of another shape, one with negative or non-finite values, or more noise than power.
    """

    def __init__(self, spectrum: Float[Tensor, "box half"], noise: Float[Tensor, "box half"] | None = None) -> None:
        box = spectrum.shape[0]
        if spectrum.ndim != 2 or spectrum.shape[1] != box // 2 + 1:
            raise InputError(
                f"spectrum: shape {tuple(spectrum.shape)}; expected (box, box // 2 + 1); pass the power of an rfft2"
            )
        if not bool(torch.isfinite(spectrum).all()) or bool((spectrum < 0).any()):
            raise InputError("spectrum: negative or non-finite values; expected powers; check the images it came from")
        self.power, self.noise = spectrum, torch.zeros_like(spectrum) if noise is None else noise
        if self.noise.shape != spectrum.shape or bool((self.noise < 0).any()) or bool((self.noise > spectrum).any()):
            raise InputError("noise: not a part of the spectrum; expected powers of at most the spectrum's; check both")

    def __repr__(self) -> str:
        return f"GaussianPrior(box {self.power.shape[0]})"

    def __call__(self, x: Float[Tensor, "b box box"], tau: Float[Tensor, "b"]) -> Float[Tensor, "b box box"]:
        """Return the Wiener estimate E[x0 | x0 + tau e = x]: gain P / (P + tau^2) by frequency."""
        power = self.spectrum(x.shape[-1]).to(x)
        return apply_filter(x, power / (power + tau.to(x)[:, None, None] ** 2))

    def spectrum(self, box: int) -> Float[Tensor, "box half"]:
        """Return P; InputError for a box that it was not made for."""
        if box != self.power.shape[0]:
            raise InputError(
                f"gaussian prior: box {box}; it was made for {self.power.shape[0]}; "
                "make it from images of that box, or resize the particles"
            )
        return self.power

    def with_power_factor(self, box: int, factor: Float[Tensor, "shells"]) -> GaussianPrior:
        """Return the prior with its power multiplied shell by shell."""
        by_frequency = factor.to(self.power)[shell_index(box, factor.device)]
        return GaussianPrior(self.spectrum(box) * by_frequency, self.noise * by_frequency)

    operator_aware, means_only = True, False

    def components(self, box: int, like: Tensor) -> tuple[Float[Tensor, "box half"], Float[Tensor, "box half"]]:
        """Return the power of the signal, and that of the noise: P and 0 where no noise was given."""
        power, noise = self.spectrum(box).to(like), self.noise.to(like)
        return power - noise, noise

    def signal(self, x: Float[Tensor, "b box box"], tau: Float[Tensor, "b"]) -> Float[Tensor, "b box box"]:
        """Return E[s | x0 + tau e = x]: the gain of the signal's power alone."""
        power, noise = self.spectrum(x.shape[-1]).to(x), self.noise.to(x)
        return apply_filter(x, (power - noise) / (power + tau.to(x)[:, None, None] ** 2))

    def estimate(self, evidence: Evidence) -> Float[Tensor, "b box box"]:
        """Return the linear estimate, which is the posterior mean of a Gaussian."""
        return evidence.linear

    def draw(self, white: Float[Tensor, "b box box"]) -> Float[Tensor, "b box box"]:
        """Return one image of the prior per image of standard normal noise."""
        return apply_filter(white, self.spectrum(white.shape[-1]).to(white).sqrt())
