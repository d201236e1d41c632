"""A map in the whitened domain, as its own noise and grey scale allow, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.image.shells import Shells
from cryoprior.prior.volume.evidence import KNOTS, SNR_RANGE, at_knots
from cryoprior.prior.volume.whitening import SignalSpectrum, fitted_shape, local_variance


@dataclass(frozen=True, eq=False)
class WhitenedMap:
    """A map of unit variance inside the molecule in every shell.

    fourier: its orthonormal rfftn, 0 beyond Nyquist. snr: of signal to noise inside the molecule, at the knots.
    amplitude: by shell; the whitened transform times it is that of the map.
    """

    fourier: Tensor
    snr: Float[Tensor, " knots"]
    amplitude: Float[Tensor, " shells"]


def whiten_map(
    volume: Float[Tensor, "d d d"], voxel_size: float, ssnr: Float[Tensor, " shells"], spectrum: SignalSpectrum
) -> WhitenedMap:
    """Return a map in the whitened domain.

    The signal's share of every shell follows from its ratio of signal to noise. Grey scale and B-factor of the mean
    spectrum are fitted to it; the variance inside the molecule, whatever the solvent around it, sets the scale.

    Parameters
    ----------
    volume: prior-free, of correct amplitudes in any grey scale. voxel_size: angstrom.
    ssnr: power of signal over that of noise by shell 0 .. d // 2, of the whole box.
    """
    box = volume.shape[-1]
    shells = Shells(box, volume.device)
    ratio = ssnr.double().to(volume.device).clamp(0, SNR_RANGE[1])
    share = ratio / (1 + ratio)
    fourier = torch.fft.rfftn(volume.double(), norm="ortho") * shells.inside
    power = shells.mean(fourier.abs().square())
    shape = fitted_shape((power * share).cpu(), share.cpu(), spectrum, box, voxel_size).to(volume.device)
    white = fourier * shells.spread((-0.5 * shape).exp())
    noise = power * (1 - share) * (-shape).exp()
    gain = shells.spread(share) * shells.inside
    wiener = torch.fft.irfftn(white * gain, s=(box,) * 3, norm="ortho")
    variance = local_variance(wiener, gain, shells.spread(noise) * shells.inside, voxel_size)
    if not variance > 0:
        variance = 1.0
    local = (variance / noise.clamp_min(1e-300)).clamp(*SNR_RANGE)
    local[0] = local[1]  # the mean of a map is nobody's
    snr = at_knots(local.log()).exp().float()
    assert len(snr) == KNOTS
    return WhitenedMap((white / variance**0.5).to(torch.complex64), snr, (0.5 * shape).exp() * variance**0.5)
