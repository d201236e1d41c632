"""The network of the map prior: what a U-Net sees in a map beyond the best linear estimate by shell."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from cryoprior.prior.volume.evidence import CONDITIONS, PLANES, MapEvidence

EPSILON = 1e-4


@dataclass(frozen=True)
class MapNetworkConfig:
    """The shape of the U-Net: channels of its three levels, on cubes of ``patch`` voxels a side taken as one."""

    channels: tuple[int, ...] = (40, 64, 96)
    patch: int = 2
    condition: int = 64

    @property
    def multiple(self) -> int:
        """Return what a box must be a multiple of."""
        return int(self.patch * 2 ** (len(self.channels) - 1))

    @property
    def reach(self) -> int:
        """Return how many voxels away a voxel can still change the result, rounded up to the multiple."""
        convolutions = 2 + 2 * 2 + 2 * 4 + 2 * 2 + 2  # two in each block, in units of the level's own grid
        voxels = self.patch * convolutions + self.multiple
        return -(-voxels // self.multiple) * self.multiple


class MapNetwork(nn.Module):
    """E[map | map with noise], on a torus: h L + c F(planes; noise by shell, voxel size).

    L is the Wiener estimate, h the share of a shell that is asked for, c the root mean square error of h L: at the
    first step the network is the Wiener estimate, and its output has unit scale at any noise. Everything is local and
    convolutions wrap around, so the result does not depend on the size of the box. Nothing knows a direction but the
    weights, which were trained on turned molecules and never on mirrored ones.

    Groups are normalised voxel by voxel: statistics over a block, as in GroupNorm, would make the result depend on it.
    """

    def __init__(self, config: MapNetworkConfig) -> None:
        super().__init__()
        self.config = config
        a, b, c = config.channels
        cube = config.patch**3
        self.condition = nn.Sequential(nn.Linear(CONDITIONS, config.condition), nn.SiLU())
        self.enter = nn.Conv3d(PLANES * cube, a, 1)
        self.fine = Block(a, a, config.condition)
        self.down = nn.Conv3d(a, b, 2, 2)
        self.middle = Block(b, b, config.condition)
        self.down_again = nn.Conv3d(b, c, 2, 2)
        self.coarse = Block(c, c, config.condition)
        self.up = nn.ConvTranspose3d(c, b, 2, 2)
        self.middle_again = Block(2 * b, b, config.condition)
        self.up_again = nn.ConvTranspose3d(b, a, 2, 2)
        self.fine_again = Block(2 * a, a, config.condition)
        self.leave = nn.Conv3d(a, cube, 1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, evidence: MapEvidence) -> Float[Tensor, "b d d d"]:
        """Return the mean of h times the whitened map, (b, d, d, d)."""
        residual = self.residual(evidence.planes, evidence.condition)
        return evidence.linear + evidence.error[:, None, None, None] * residual.to(evidence.linear.dtype)

    def residual(
        self, planes: Float[Tensor, "b planes z y x"], condition: Float[Tensor, "b conditions"]
    ) -> Float[Tensor, "b z y x"]:
        """Return F, (b, z, y, x), of a box of any sides that the network can halve."""
        known = self.condition(condition)
        x = self.fine(self.enter(_cubes(planes, self.config.patch)), known)
        y = self.middle(self.down(x), known)
        z = self.coarse(self.down_again(y), known)
        y = self.middle_again(torch.cat((self.up(z), y), 1), known)
        x = self.fine_again(torch.cat((self.up_again(y), x), 1), known)
        return _uncubed(self.leave(x), self.config.patch)


class Block(nn.Module):
    """Two convolutions beside an identity, the second scaled and shifted by what is known of the noise."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(inputs, outputs, 3)
        self.second = nn.Conv3d(outputs, outputs, 3)
        self.modulation = nn.Linear(condition, 2 * outputs)
        self.beside = nn.Conv3d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Float[Tensor, "b inputs z y x"], known: Float[Tensor, "b condition"]) -> Tensor:
        """Return the features, (b, outputs, z, y, x)."""
        scale, shift = self.modulation(known)[..., None, None, None].chunk(2, dim=1)
        inner = self.first(_wrapped(nn.functional.silu(_normalised(x))))
        inner = self.second(_wrapped(nn.functional.silu(_normalised(inner) * (1 + scale) + shift)))
        features: Tensor = self.beside(x) + inner
        return features


def _normalised(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + EPSILON)


def _wrapped(x: Tensor) -> Tensor:
    return nn.functional.pad(x, (1,) * 6, mode="circular")


def _cubes(planes: Float[Tensor, "b c z y x"], patch: int) -> Tensor:
    """Return cubes of voxels as channels, (b, c * patch^3, z / patch, y / patch, x / patch)."""
    return rearrange(planes, "b c (z p) (y q) (x r) -> b (c p q r) z y x", p=patch, q=patch, r=patch)


def _uncubed(channels: Tensor, patch: int) -> Float[Tensor, "b z y x"]:
    return rearrange(channels, "b (p q r) z y x -> b (z p) (y q) (x r)", p=patch, q=patch, r=patch)
