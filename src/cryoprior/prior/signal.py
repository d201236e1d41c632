"""The denoiser of our own priors: a learned estimate of the signal, and noise that is known by its spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.spectrum import apply_filter, shell_index
from cryoprior.prior.evidence import Evidence, evidence_of_image
from cryoprior.prior.mean_image import answer_to_nothing
from cryoprior.prior.network import SignalNetwork

LEAST_NOISE = 0.5
"""Share of the noise fraction of the training set that every shell keeps under another spectrum."""


MEANS_ONLY = (
    "prior: trained on measurements alone, it gives posterior means and nothing else; use <solver=posterior> with "
    "<estimate=mean> and without a deviation, or a prior trained on full images"
)


@dataclass(frozen=True, repr=False)
class Spectra:
    """Radial power of signal and noise by shell (Fourier pixels, corners included), for one box."""

    signal: tuple[float, ...]
    noise: tuple[float, ...]

    def __repr__(self) -> str:
        return f"Spectra({len(self.signal)} shells)"

    def grids(self, box: int, like: Tensor) -> tuple[Float[Tensor, "box half"], Float[Tensor, "box half"]]:
        """Return signal and noise power on the rfft2 grid."""
        shells = shell_index(box, like.device)
        signal = torch.tensor(self.signal, dtype=like.dtype, device=like.device)
        noise = torch.tensor(self.noise, dtype=like.dtype, device=like.device)
        return signal[shells], noise[shells]


class SignalDenoiser:
    """E[x0 | x0 + tau e] for x0 = s + n: learned signal s, stationary Gaussian noise n of known power N.

    With the signal estimate S = E[s | x_t] under noise of power N + tau^2,

        E[x0 | x_t] = S + N / (N + tau^2) (x_t - S),

    so that what is noise is left to its spectrum and the network only ever estimates signal. N = 0 gives the ordinary
    denoiser of priors that were trained without clean images: there the whole image is the signal.

    Parameters
    ----------
    network: the signal estimate.
    spectra: power of signal and noise by box.
    means_only: the network never saw a noisy full image, so that calls are refused; only :meth:`estimate` is left.
    """

    def __init__(self, network: SignalNetwork, spectra: Mapping[int, Spectra], *, means_only: bool = False) -> None:
        self.network, self.spectra, self.means_only = network.eval(), dict(spectra), means_only
        self._mean_images: dict[int, Tensor] = {}

    def __call__(self, x: Float[Tensor, "b box box"], tau: Float[Tensor, "b"]) -> Float[Tensor, "b box box"]:
        """Return E[x0 | x0 + tau e = x]; InputError for a prior that gives means only."""
        estimate, (_, noise) = self.signal(x, tau), self.components(x.shape[-1], x)
        return estimate + apply_filter(x - estimate, noise / (noise + tau.to(x)[:, None, None] ** 2))

    def signal(self, x: Float[Tensor, "b box box"], tau: Float[Tensor, "b"]) -> Float[Tensor, "b box box"]:
        """Return E[s | x0 + tau e = x], one evaluation; InputError for a prior that gives means only."""
        if self.means_only:
            raise InputError(MEANS_ONLY)
        signal, noise = self.components(x.shape[-1], x)
        return self.estimate(evidence_of_image(x, signal, noise + tau.to(x)[:, None, None] ** 2))

    def mean_image(self, box: int, like: Tensor) -> Float[Tensor, "box box"]:
        """Return the radial mean image of the training set, which the network tells when it sees nothing but noise.

        0 for a prior that gives means only: it was never asked about an image of which nothing was measured.
        """
        if self.means_only:
            return like.new_zeros(box, box)
        if box not in self._mean_images:
            self._mean_images[box] = answer_to_nothing(self.signal, box, next(self.network.parameters()).detach())
        return self._mean_images[box].to(like)

    @property
    def operator_aware(self) -> bool:
        """Return whether the network was trained on measurements, so that :meth:`estimate` may be asked about one."""
        return self.network.config.operator_aware

    def components(self, box: int, like: Tensor) -> tuple[Float[Tensor, "box half"], Float[Tensor, "box half"]]:
        """Return the power of signal and of noise on the rfft2 grid."""
        return self._spectra(box).grids(box, like)

    def estimate(self, evidence: Evidence) -> Float[Tensor, "b box box"]:
        """Return E[s | evidence]."""
        with torch.set_grad_enabled(evidence.linear.requires_grad):
            estimate: Tensor = self.network(evidence.float())
        return estimate.to(evidence.linear)

    def spectrum(self, box: int) -> Float[Tensor, "box half"]:
        """Return P, signal and noise together."""
        parameter = next(self.network.parameters())
        signal, noise = self._spectra(box).grids(box, parameter)
        return signal + noise

    def with_power_factor(self, box: int, factor: Float[Tensor, "shells"]) -> SignalDenoiser:
        """Return the same prior for data of another radial power: what the signal leaves of it is noise.

        Each shell keeps at least half of the share of noise that it had in training, so that data weaker than the
        training set have weaker signal. A prior without noise (N = 0) is returned as it is.
        """
        old = self._spectra(box)
        if not any(old.noise):
            return self
        signal, noise = factor.new_tensor(old.signal), factor.new_tensor(old.noise)
        power = factor * (signal + noise)
        least = LEAST_NOISE * noise / (signal + noise)
        tuned = power * torch.maximum(1 - signal / power, least)
        spectra = Spectra(tuple((power - tuned).tolist()), tuple(tuned.tolist()))
        return SignalDenoiser(self.network, {**self.spectra, box: spectra}, means_only=self.means_only)

    def _spectra(self, box: int) -> Spectra:
        if box not in self.spectra:
            known = ", ".join(str(b) for b in sorted(self.spectra))
            raise InputError(
                f"prior: box {box}; it was trained for {known}; measure with <box> of one of these, or train a prior"
            )
        return self.spectra[box]
