"""The map prior: the posterior mean of a map in one evaluation of its network, and draws of the posterior."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.shells import Shells
from cryoprior.prior.volume.blocks import in_blocks
from cryoprior.prior.volume.config import MapPriorConfig
from cryoprior.prior.volume.evidence import map_evidence, on_grid
from cryoprior.prior.volume.network import MapNetwork
from cryoprior.prior.volume.sampling import (
    STEPS,
    ConditionalMean,
    check_samples,
    draw_whitened,
    mean_and_deviation,
)
from cryoprior.prior.volume.turning import TURNS, mean_over_turns
from cryoprior.prior.volume.whitened import WhitenedMap, whiten_map
from cryoprior.random import ParticleNoise

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
        turns: int = TURNS,
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
        turns: orientations that the network is asked for and whose mean is returned, 1 to 24; each costs one
            evaluation. See :mod:`.turning`.

        Raises
        ------
        InputError: no cube, another number of shells, values that are not finite, a voxel size that it never saw.
        """
        self._check(volume, voxel_size, ssnr)

        def answer(turned: Tensor) -> Tensor:
            white, ask = self._whitened(turned, voxel_size, ssnr, block)
            return self._unwhitened(ask(white.fourier.cpu(), white.snr.cpu()), white, turned)

        return mean_over_turns(answer, volume, turns)

    @torch.no_grad()
    def samples(
        self,
        volume: Float[Tensor, "z y x"],
        voxel_size: float,
        ssnr: Float[Tensor, " shells"],
        count: int,
        *,
        seed: int = 0,
        steps: int = STEPS,
        block: int = BLOCK,
    ) -> Iterator[Float[Tensor, "z y x"]]:
        """Yield draws of the posterior whose mean is :meth:`mean`, one after another, in the map's grey scale.

        What the draws share is known; where they differ is not. Draw i depends on the seed and on i alone.

        Parameters
        ----------
        count: draws. steps: evaluations of the network for each. The others are those of :meth:`mean`.

        Raises
        ------
        InputError: as :meth:`mean`; no draws or no steps.
        """
        if count < 1 or steps < 2:
            raise InputError(f"<samples> {count} of {steps} steps: expected at least 1 of 2 steps or more")
        white, ask = self._whitened(volume, voxel_size, ssnr, block)
        fourier, snr = white.fourier.cpu(), white.snr.cpu()
        size = len(fourier)
        for place in range(count):
            noise = partial(_voxels, ParticleNoise(seed, "map-samples", [place]), size)
            drawn = draw_whitened(ask, fourier, snr, noise, steps)
            yield self._unwhitened(drawn, white, volume)

    def deviation(
        self, volume: Float[Tensor, "z y x"], voxel_size: float, ssnr: Float[Tensor, " shells"], count: int, **how: Any
    ) -> Float[Tensor, "z y x"]:
        """Return the standard deviation by voxel of ``count`` draws, 2 or more; the rest is as of :meth:`samples`.

        It is that of the prior's own error: it does not know what the prior was never shown.
        """
        return mean_and_deviation(self.samples(volume, voxel_size, ssnr, check_samples(count), **how))[1]

    def _whitened(
        self, volume: Tensor, voxel_size: float, ssnr: Tensor, block: int
    ) -> tuple[WhitenedMap, ConditionalMean]:
        """Return the map in the whitened domain, and what the network says of any measurement of it there."""
        self._check(volume, voxel_size, ssnr)
        shape = self.config.network
        padded, curve = _padded(volume, ssnr, -(-volume.shape[-1] // shape.multiple) * shape.multiple)
        white = whiten_map(padded, voxel_size, curve, self.config.spectrum)
        device = next(self.network.parameters()).device
        size, angstrom = padded.shape[-1], torch.tensor([voxel_size], dtype=torch.float32)
        inside = Shells(size).inside

        def ask(fourier: Tensor, snr: Float[Tensor, " knots"]) -> Tensor:
            evidence = map_evidence(fourier[None], snr[None], angstrom, size)
            told = evidence.condition.to(device)
            residual = in_blocks(
                lambda planes: self.network.residual(planes.to(device), told).float().cpu(),
                evidence.planes, block, shape.reach, shape.multiple,
            )  # fmt: skip
            asked = evidence.linear + evidence.error[:, None, None, None] * residual
            mean = torch.fft.rfftn(asked[0], norm="ortho") / on_grid(evidence.asked, size)[0].clamp_min(LEAST_ASKED)
            inner: Tensor = mean.masked_fill(~inside, 0)
            return inner

        return white, ask

    def _unwhitened(self, fourier: Tensor, white: WhitenedMap, like: Tensor) -> Float[Tensor, "z y x"]:
        """Return a whitened transform as a map in the box and grey scale of the one that was whitened."""
        size, box = len(fourier), like.shape[-1]
        amplitude = Shells(size).spread(white.amplitude.cpu().float())
        full: Tensor = torch.fft.irfftn(fourier * amplitude, s=(size,) * 3, norm="ortho")
        start = size // 2 - box // 2
        kept = slice(start, start + box)
        return full[kept, kept, kept].to(like)

    def check_grid(self, box: int, voxel_size: float) -> None:
        """Raise InputError where the prior cannot be asked for maps of this box and voxel size (angstrom)."""
        least = 2 * self.config.network.multiple
        if box < least:
            raise InputError(f"map of {box} voxels a side: the map prior takes {least} or more; pad the images")
        low, high = self.config.voxel_size_angstrom
        if not 0.99 * low <= voxel_size <= 1.01 * high:
            coarse = "leave it out: a map so coarse shows nothing that it knows"
            remedy = coarse if voxel_size > high else "resample the map"
            raise InputError(f"voxels of {voxel_size:g} A: the map prior was trained at {low:g} to {high:g}; {remedy}")

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


def _voxels(stream: ParticleNoise, size: int) -> Float[Tensor, "d d d"]:
    return stream.normal_like(torch.empty(1, size, size, size))[0]


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
