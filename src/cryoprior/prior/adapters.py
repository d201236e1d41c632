"""Denoisers made of other networks: DDPM checkpoints in the diffusers layout (noise prediction)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.spectrum import shell_index
from cryoprior.prior.schedule import alpha_bars, exploding_level, linear_betas
from cryoprior.prior.signal import Spectra

if TYPE_CHECKING:
    from diffusers import UNet2DModel


def ddpm_unet(channels: tuple[int, ...], layers: int, box: int) -> UNet2DModel:
    """Return the paper's U-Net: attention in the last but one down block and the second up block.

    Source: Generative Priors for Cryo-EM Image Reconstruction, appendix A.2 (113.7 M parameters at full width).
    """
    from diffusers import UNet2DModel  # takes seconds to import

    levels = len(channels)
    down = ["DownBlock2D"] * levels
    down[-2] = "AttnDownBlock2D"
    up = ["UpBlock2D"] * levels
    up[1] = "AttnUpBlock2D"
    return UNet2DModel(
        sample_size=box,
        in_channels=1,
        out_channels=1,
        layers_per_block=layers,
        block_out_channels=channels,
        down_block_types=tuple(down),
        up_block_types=tuple(up),
    )


class DdpmDenoiser:
    """E[x0 | x0 + tau e] from a network that predicts the noise of a 1000-step linear-beta DDPM.

    Parameters
    ----------
    network: called as network(x_t, t).sample, x_t of shape (b, 1, box, box).
    spectra: power by box in the prior's grey scale.
    scale, offset: the network's own scale, x_network = scale x_prior + offset.

    Source: Ho 2020 (arXiv 2006.11239), equations 4 and 15; the variance-exploding view by x / sqrt(abar).
    """

    def __init__(
        self, network: Any, spectra: Mapping[int, Spectra], *, scale: float = 1.0, offset: float = 0.0
    ) -> None:
        self.network, self.spectra, self.scale, self.offset = network.eval(), dict(spectra), scale, offset
        self.levels = exploding_level(alpha_bars(linear_betas()))

    def __call__(self, x: Float[Tensor, "b box box"], tau: Float[Tensor, "b"]) -> Float[Tensor, "b box box"]:
        """Return E[x0 | x0 + tau e = x]; tau is matched to the fractional time step between the trained ones."""
        level = (tau * self.scale).double().cpu().clamp(float(self.levels[0]), float(self.levels[-1]))
        right = torch.searchsorted(self.levels, level).clamp(1, len(self.levels) - 1)
        share = (level - self.levels[right - 1]) / (self.levels[right] - self.levels[right - 1])
        time = (right - 1 + share).to(x)
        sigma = level.to(x)[:, None, None]
        noisy = (self.scale * x + self.offset) / (1 + sigma**2).sqrt()
        with torch.set_grad_enabled(x.requires_grad):
            noise = self.network(noisy[:, None].float(), time.float()).sample[:, 0].to(x)
        clean: Tensor = x - sigma / self.scale * noise
        return clean

    @property
    def training_scale(self) -> tuple[float, float]:
        """Return scale and offset of the network's own grey scale."""
        return self.scale, self.offset

    def spectrum(self, box: int) -> Float[Tensor, "box half"]:
        """Return the power spectrum of the training images."""
        if box not in self.spectra:
            known = ", ".join(str(b) for b in sorted(self.spectra))
            raise InputError(f"prior: box {box}; it was trained for {known}; measure with <box> of one of these")
        spectra = self.spectra[box]
        total = torch.tensor(spectra.signal) + torch.tensor(spectra.noise)
        return total[shell_index(box)]
