"""The small convolutional network: an estimate of the signal in an image with stationary noise of a known spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import UNet2DModel
from jaxtyping import Float
from torch import Tensor, nn

from cryoprior.image.spectrum import apply_filter, pixel_variance


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of the U-Net: it works on ``patch`` x ``patch`` pixels at once, on boxes that ``multiple`` divides."""

    channels: tuple[int, ...] = (32, 64, 128, 192)
    layers: int = 1
    patch: int = 2
    groups: int = 8
    head: int = 32

    @property
    def multiple(self) -> int:
        """Return what a box must be a multiple of."""
        return int(self.patch * 2 ** (len(self.channels) - 1))


class SignalNetwork(nn.Module):
    """S(x; T) = E[s | s + n = x], n stationary Gaussian noise of power T on the rfft2 grid.

    The network predicts what the Wiener filter leaves: S = W x + c_out F(c_in x, W x / sd(W x); level), with
    W = P_s / (P_s + T) from the mean signal power P_s, and c_out^2 the mean Wiener error. It is the preconditioning of
    Karras 2022 (arXiv 2206.00364, section 5) carried out frequency by frequency: at the first step the network is the
    best linear estimate, and its output has unit scale at every noise level.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        levels = len(config.channels)
        self.unet = UNet2DModel(
            in_channels=2 * config.patch**2,
            out_channels=config.patch**2,
            layers_per_block=config.layers,
            block_out_channels=config.channels,
            down_block_types=("DownBlock2D",) * (levels - 1) + ("AttnDownBlock2D",),
            up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * (levels - 1),
            norm_num_groups=config.groups,
            attention_head_dim=config.head,
        )
        nn.init.zeros_(self.unet.conv_out.weight)
        nn.init.zeros_(self.unet.conv_out.bias)

    def forward(
        self, x: Float[Tensor, "b box box"], signal: Float[Tensor, "*s box half"], noise: Float[Tensor, "b box half"]
    ) -> Float[Tensor, "b box box"]:
        """Return the estimate of the signal, (b, box, box).

        Parameters
        ----------
        x: signal plus noise, in the prior's grey scale.
        signal: mean signal power P_s on the orthonormal rfft2 grid.
        noise: noise power T of every image on that grid.
        """
        gain = signal / (signal + noise)
        wiener = apply_filter(x, gain)
        scale_in = (pixel_variance(signal) + pixel_variance(noise)).sqrt()
        scale_wiener = pixel_variance(signal * gain).sqrt()
        scale_out = pixel_variance(noise * gain).sqrt()
        level = 100.0 * pixel_variance(noise).log() / 2 + 500.0
        channels = torch.stack([x / _column(scale_in), wiener / _column(scale_wiener)], dim=1)
        patches = nn.functional.pixel_unshuffle(channels, self.config.patch)
        patches = patches.contiguous(memory_format=torch.channels_last)
        predicted = self.unet(patches, level.expand(len(x)).to(x.dtype)).sample
        residual = nn.functional.pixel_shuffle(predicted, self.config.patch)[:, 0]
        return wiener + _column(scale_out) * residual.to(x.dtype)


def error_scale(signal: Float[Tensor, "*s box half"], noise: Float[Tensor, "b box half"]) -> Float[Tensor, "b"]:
    """Return the root mean square error of the Wiener estimate, in pixels' grey values, (b,)."""
    return pixel_variance(noise * signal / (signal + noise)).sqrt()


def _column(values: Tensor) -> Tensor:
    return values[..., None, None]
