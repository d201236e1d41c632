"""The small convolutional network: an estimate of the signal from what is known of an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cryoprior.prior.evidence import Evidence


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of the U-Net: it works on ``patch`` x ``patch`` pixels at once, on boxes that ``multiple`` divides."""

    channels: tuple[int, ...] = (32, 64, 128, 192)
    layers: int = 1
    patch: int = 2
    groups: int = 8
    head: int = 32
    operator_aware: bool = False
    """Whether the least-squares image of a measurement is a further input channel."""

    @property
    def multiple(self) -> int:
        """Return what a box must be a multiple of."""
        return int(self.patch * 2 ** (len(self.channels) - 1))


class SignalNetwork(nn.Module):
    """E[s | what is known of an image], s the signal: the best linear estimate plus what a U-Net sees beyond it.

    S = L + c_out F(pivot, L / sd(L), seen; level), with L the best linear estimate and c_out its root mean square
    error, all given as :class:`~cryoprior.prior.evidence.Evidence`. It is the preconditioning of Karras 2022 (arXiv
    2206.00364, section 5) with a linear estimate that knows the spectra: at the first step the network is that
    estimate, and its output has unit scale however much or little is known.
    """

    def __init__(self, config: NetworkConfig) -> None:
        from diffusers import UNet2DModel  # takes seconds to import

        super().__init__()
        self.config = config
        levels = len(config.channels)
        self.unet = UNet2DModel(
            in_channels=(3 if config.operator_aware else 2) * config.patch**2,
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

    def forward(self, evidence: Evidence) -> Float[Tensor, "b box box"]:
        """Return the estimate of the signal, (b, box, box), in the prior's grey scale."""
        planes = [evidence.pivot, evidence.linear / _column(evidence.deviation)]
        if self.config.operator_aware:
            planes.append(torch.zeros_like(evidence.pivot) if evidence.seen is None else evidence.seen)
        patches = nn.functional.pixel_unshuffle(torch.stack(planes, dim=1), self.config.patch)
        patches = patches.contiguous(memory_format=torch.channels_last)
        level = evidence.level.expand(len(patches)).to(patches.dtype)
        predicted = self.unet(patches, level).sample
        residual = nn.functional.pixel_shuffle(predicted, self.config.patch)[:, 0]
        return evidence.linear + _column(evidence.error) * residual.to(evidence.linear.dtype)

    def load_base(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of another network of this shape; a channel for measurements that it lacks begins at 0."""
        own = self.unet.conv_in.weight
        given = state["unet.conv_in.weight"]
        if given.shape[1] < own.shape[1]:
            widened = torch.zeros_like(own)
            widened[:, : given.shape[1]] = given
            state = {**state, "unet.conv_in.weight": widened}
        self.load_state_dict(state)


def _column(values: Tensor) -> Tensor:
    return values[..., None, None]
