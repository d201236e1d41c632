"""The map prior: the posterior mean of a map in one evaluation of its network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.shells import Shells
from cryoprior.prior.volume.blocks import in_blocks
from cryoprior.prior.volume.config import MapPriorConfig
from cryoprior.prior.volume.evidence import map_evidence, on_grid
from cryoprior.prior.volume.network import MapNetwork
from cryoprior.prior.volume.whitened import whiten_map

LEAST_ASKED = 0.2
"""Shells of which the network is asked for a smaller share than this are left shrunk: they hold next to nothing."""
BLOCK = 256
"""Voxels a side that are computed at once; larger boxes in blocks."""


@dataclass(frozen=True, eq=False, repr=False)
class MapPrior:
    """What molecules look like in three dimensions: a network, and what it was trained on.

    network: on the device where it computes. path: the folder that it came from.
    """

    network: MapNetwork
    config: MapPriorConfig
    path: Path = Path("map prior")

    def __post_init__(self) -> None:
        self.network.eval().requires_grad_(False)

    def __repr__(self) -> str:
        return f"MapPrior({self.path.name!r}, {self.config!r})"

    @torch.no_grad()
    def mean(
        self,
        volume: Float[Tensor, "z y x"],
        voxel_size: float,
        ssnr: Float[Tensor, " shells"],
        *,
        block: int = BLOCK,
    ) -> Float[Tensor, "z y x"]:
        """Return the posterior mean of a map, in its grey scale, on its device.

        It is smaller than the map where little is known, as a Wiener estimate is. Shells in which the signal is below
        a hundredth of the noise are shrunk further; frequencies beyond Nyquist, in the corners, are 0.

        Parameters
        ----------
        volume: prior-free, of correct amplitudes in any grey scale: a map divided by its weights, not sharpened, not
            filtered, not masked.
        voxel_size: angstrom.
        ssnr: power of signal over that of noise by shell 0 .. d // 2: FSC / (1 - FSC) of two maps with this noise.
        block: voxels a side of what is computed at once. The result does not depend on it, up to rounding.

        Raises
        ------
        InputError: no cube, another number of shells, values that are not finite, a voxel size that it never saw.
        """
        self._check(volume, voxel_size, ssnr)
        box = volume.shape[-1]
        multiple = self.config.network.multiple
        padded, curve = _padded(volume, ssnr, -(-box // multiple) * multiple)
        size = padded.shape[-1]
        white = whiten_map(padded, voxel_size, curve, self.config.spectrum)
        device = next(self.network.parameters()).device
        angstrom = torch.tensor([voxel_size], dtype=torch.float32)
        evidence = map_evidence(white.fourier[None].cpu(), white.snr[None].cpu(), angstrom, size)
        told = evidence.condition.to(device)
        shape = self.config.network
        residual = in_blocks(
            lambda planes: self.network.residual(planes.to(device), told).float().cpu(),
            evidence.planes, block, shape.reach, shape.multiple,
        )  # fmt: skip
        asked = evidence.linear + evidence.error[:, None, None, None] * residual
        mean = torch.fft.rfftn(asked[0], norm="ortho") / on_grid(evidence.asked, size)[0].clamp_min(LEAST_ASKED)
        shells = Shells(size)
        mean = mean.masked_fill(~shells.inside, 0) * shells.spread(white.amplitude.cpu().float())
        full: Tensor = torch.fft.irfftn(mean, s=(size,) * 3, norm="ortho")
        start = size // 2 - box // 2
        kept = slice(start, start + box)
        return full[kept, kept, kept].to(volume)

    def check_grid(self, box: int, voxel_size: float) -> None:
        """Raise InputError where the prior cannot be asked for maps of this box and voxel size (angstrom)."""
        least = 2 * self.config.network.multiple
        if box < least:
            raise InputError(f"map of {box} voxels a side: the map prior takes {least} or more; pad the images")
        low, high = self.config.voxel_size_angstrom
        if not 0.99 * low <= voxel_size <= 1.01 * high:
            raise InputError(
                f"voxels of {voxel_size:g} A: the map prior was trained at {low:g} to {high:g}; resample the map"
            )

    def _check(self, volume: Tensor, voxel_size: float, ssnr: Tensor) -> None:
        sides = " x ".join(map(str, volume.shape))
        if volume.ndim != 3 or len(set(volume.shape)) != 1 or volume.shape[-1] < 2 * self.config.network.multiple:
            raise InputError(f"map of {sides}: expected a cube of {2 * self.config.network.multiple} voxels or more")
        if ssnr.shape != (volume.shape[-1] // 2 + 1,):
            raise InputError(
                f"signal to noise of {len(ssnr)} shells for a map of {sides}: expected {volume.shape[-1] // 2 + 1}"
            )
        if not bool(torch.isfinite(volume).all()) or bool(torch.isnan(ssnr).any()):
            raise InputError("map: values, or ratios of signal to noise, that are not finite; expected numbers")
        self.check_grid(volume.shape[-1], voxel_size)


def _padded(
    volume: Float[Tensor, "d d d"], ssnr: Float[Tensor, " shells"], size: int
) -> tuple[Float[Tensor, "s s s"], Float[Tensor, " more"]]:
    """Return a map with its own opposite faces around it, its centre at size // 2, and the curve at its shells."""
    box = volume.shape[-1]
    if size == box:
        return volume, ssnr
    before = size // 2 - box // 2
    around = (before, size - box - before) * 3
    place = (torch.arange(size // 2 + 1, dtype=torch.float64) * box / size).clamp_max(box // 2)
    low = place.floor().long().clamp_max(box // 2 - 1)
    share = (place - low).to(ssnr)
    curve = ssnr[low] * (1 - share) + ssnr[low + 1] * share
    return torch.nn.functional.pad(volume[None, None], around, mode="circular")[0, 0], curve
