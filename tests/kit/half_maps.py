"""Half maps of a made-up particle with white noise, and what priors of many kinds make of each half."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from cryoprior.image.soft_mask import sphere_mask
from cryoprior.metrics.fsc import volume_shell_sums, volume_shells

D = 32
INVENTED_FROM = 6
"""Shell from which planted detail takes the place of what is true."""


@lru_cache
def particle(seed: int = 0, box: int = D) -> Tensor:
    """Return 150 blobs within a quarter of the box, (box, box, box) float64."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices((box,) * 3) - box // 2
    places = rng.normal(size=(150, 3))
    places *= (0.26 * box * rng.random(150) ** (1 / 3) / np.linalg.norm(places, axis=1))[:, None]
    blobs = (np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / (2 * 1.2**2)) for a, b, c in places)
    return torch.from_numpy(sum(blobs))


def by_shell(volume: Tensor, weights: Tensor) -> Tensor:
    """Return a map with every shell multiplied by a weight; nothing of the corners."""
    transfer = torch.cat([weights.double(), torch.zeros(1)])[volume_shells(len(volume)).long()]
    filtered: Tensor = torch.fft.irfftn(torch.fft.rfftn(volume) * transfer, s=tuple(volume.shape))
    return filtered


def shell_power(volume: Tensor) -> Tensor:
    """Return the mean power of a coefficient by shell."""
    fourier = torch.fft.rfftn(volume, norm="ortho")
    return volume_shell_sums(fourier.abs().square()) / volume_shell_sums(torch.ones_like(fourier.real))


class Halves:
    """Two half maps whose SNR is 1 at a shell, and priors' maps of them by name, all of one seed."""

    def __init__(self, seed: int, snr_1_at: int = 8, box: int = D) -> None:
        self.truth = particle(seed % 3, box)
        self.generator = torch.Generator().manual_seed(seed)
        self.power = shell_power(self.truth)
        self.deviation = float(self.power[snr_1_at].sqrt())
        self.halves = [self.truth + self.deviation * self.noise() for _ in range(2)]
        snr = self.power / self.deviation**2
        self.wiener_gain = snr / (1 + snr)
        self.solvent = sphere_mask(box, 0.3 * box, 3.0)
        self.shell = torch.arange(box // 2 + 1)

    def noise(self) -> Tensor:
        """Return white noise of deviation 1."""
        return torch.randn(*self.truth.shape, generator=self.generator, dtype=torch.float64)

    def density(self) -> Tensor:
        """Return a density that is not there, of the particle's size and spectrum."""
        return by_shell(self.noise() * self.solvent, self.power.sqrt())

    def prior(self, kind: str) -> list[Tensor]:
        """Return what the prior of that name makes of each half."""
        return KINDS[kind](self)


def _good(of: Halves) -> list[Tensor]:
    """Half of each half map, half a guess of the truth whose error both share."""
    guess = of.truth + by_shell(of.noise() * of.solvent, 0.8 * of.power.sqrt()) / float(of.solvent.mean().sqrt())
    return [by_shell(0.5 * half + 0.5 * guess, of.wiener_gain.sqrt()) for half in of.halves]


def _good_until_invented(of: Halves) -> list[Tensor]:
    guess = of.truth + by_shell(of.noise() * of.solvent, 0.5 * of.power.sqrt())
    coarse, fine = of.shell < INVENTED_FROM, of.shell >= INVENTED_FROM
    invented = by_shell(of.density(), fine)
    return [by_shell(0.3 * half + 0.7 * guess, coarse) + invented for half in of.halves]


def _planted(of: Halves) -> list[Tensor]:
    coarse, fine = of.shell < INVENTED_FROM, of.shell >= INVENTED_FROM
    invented = by_shell(of.density(), fine)
    return [by_shell(half * of.solvent, coarse) + invented for half in of.halves]


def _harmful(of: Halves) -> list[Tensor]:
    false = 2 * of.density()
    return [by_shell(half, of.wiener_gain) + false for half in of.halves]


KINDS: dict[str, Callable[[Halves], list[Tensor]]] = {
    "wiener": lambda of: [by_shell(half, of.wiener_gain) for half in of.halves],
    "blurred": lambda of: [by_shell(half, torch.exp(-(of.shell**2) / 40)) for half in of.halves],
    "solvent and positivity": lambda of: [
        (by_shell(half, of.wiener_gain) * of.solvent).clamp(min=0) for half in of.halves
    ],
    "good": _good,
    "good until invented": _good_until_invented,
    "planted": _planted,
    "harmful": _harmful,
    "mirrored": lambda of: [half.flip(0) for half in of.halves],
    "noise": lambda of: [of.noise(), of.noise()],
    "sharpened": lambda of: [by_shell(half, 1 + of.shell) + by_shell(half, of.wiener_gain) ** 2 for half in of.halves],
}
