"""Training without truth: one half map is shown, the other, whose noise is independent, is what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.shells import Shells
from cryoprior.io.volumes import SAME_VOXEL_SIZE, read_density
from cryoprior.metrics.fsc import fsc
from cryoprior.prior.volume.evidence import asked_share, map_evidence, on_grid
from cryoprior.prior.volume.whitened import whiten_map
from cryoprior.prior.volume.whitening import SignalSpectrum, mean_spectrum
from cryoprior.training.maps.patches import Batch, cell_weights, cut_patch

LEAST_FSC, MOST_FSC = 1e-3, 0.9999


@dataclass(frozen=True, eq=False)
class WhitenedPair:
    """Two whitened half maps, their signal to noise at the knots, their voxel size, and where patches are drawn."""

    halves: tuple[np.ndarray, np.ndarray]
    snr: Float[Tensor, " knots"]
    voxel_size: float
    cells: np.ndarray


@dataclass(frozen=True, eq=False)
class HalfMapPatches:
    """Patches of half maps: a half map is the evidence, the other the target.

    Its noise has mean 0 and is independent of the evidence, so the minimiser is the posterior mean all the same.

    Source: Lehtinen et al. 2018, Noise2Noise, arXiv 1803.04189.
    """

    pairs: Sequence[WhitenedPair]
    spectrum: SignalSpectrum

    @classmethod
    def read(cls, half1: Sequence[Path], half2: Sequence[Path]) -> HalfMapPatches:
        """Return the pairs of two lists of files.

        Raises
        ------
        InputError: lists of other lengths, halves of another box or voxel size, a file that is no cubic map.
        """
        if len(half1) != len(half2):
            raise InputError(f"<half1> {len(half1)} maps, <half2> {len(half2)}; expected pairs, in the same order")
        read = [_pair(first, second) for first, second in zip(half1, half2, strict=True)]
        highest = max(1 / (2 * voxel_size) for _, _, voxel_size in read)
        spectrum = mean_spectrum([_signal(*pair) for pair in read], highest)
        return cls([_whitened(*pair, spectrum) for pair in read], spectrum)

    @property
    def voxel_range(self) -> tuple[float, float]:
        """Return the least and the largest voxel size in angstrom."""
        sizes = [pair.voxel_size for pair in self.pairs]
        return min(sizes), max(sizes)

    def batch(self, count: int, patch: int, generator: np.random.Generator) -> Batch:
        """Return patches of pairs drawn at random, either half shown."""
        shown, wanted, snrs, sizes = [], [], [], []
        for _ in range(count):
            pair = self.pairs[int(generator.integers(len(self.pairs)))]
            first = int(generator.integers(2))
            both = np.stack((pair.halves[first], pair.halves[1 - first]))
            cut = torch.from_numpy(cut_patch(both, pair.cells, patch, generator))
            shown.append(cut[0])
            wanted.append(cut[1])
            snrs.append(pair.snr)
            sizes.append(pair.voxel_size)
        snr, size = torch.stack(snrs), torch.tensor(sizes)
        transforms = [torch.fft.rfftn(torch.stack(part), norm="ortho", dim=(-3, -2, -1)) for part in (shown, wanted)]
        asked = transforms[1] * on_grid(asked_share(snr), patch)
        target = torch.fft.irfftn(asked, s=(patch,) * 3, norm="ortho", dim=(-3, -2, -1))
        return Batch(map_evidence(transforms[0], snr, size, patch), target)


def _pair(first: Path, second: Path) -> tuple[Tensor, Tensor, float]:
    (a, voxel_size), (b, other) = read_density(first), read_density(second)
    if a.shape != b.shape or abs(other - voxel_size) > SAME_VOXEL_SIZE * voxel_size:
        raise InputError(
            f"{second}: {len(b)} voxels of {other:.4g} A; {first} has {len(a)} of {voxel_size:.4g}; expected halves of "
            "one map"
        )
    return torch.from_numpy(a), torch.from_numpy(b), voxel_size


def _signal(a: Tensor, b: Tensor, voxel_size: float) -> tuple[Tensor, Tensor]:
    """Return the power that two halves share, by shell, and the frequencies in 1 / angstrom."""
    shells = Shells(len(a))
    both = [torch.fft.rfftn(half.double(), norm="ortho") for half in (a, b)]
    total = shells.mean(0.5 * (both[0].abs().square() + both[1].abs().square()))
    shared = shells.mean((both[0] * both[1].conj()).real).clamp_min(LEAST_FSC * total)
    return shared, torch.arange(len(shared), dtype=torch.float64) / (len(a) * voxel_size)


def _whitened(a: Tensor, b: Tensor, voxel_size: float, spectrum: SignalSpectrum) -> WhitenedPair:
    curve = fsc(a, b).clamp(LEAST_FSC, MOST_FSC)
    ssnr = curve / (1 - curve)
    first, second = (whiten_map(half, voxel_size, ssnr, spectrum) for half in (a, b))
    box = len(a)
    amplitude = (second.amplitude / first.amplitude).float()  # both by the first one's scale
    transforms = (first.fourier, second.fourier * Shells(box).spread(amplitude))
    halves = [torch.fft.irfftn(f, s=(box,) * 3, norm="ortho").numpy() for f in transforms]
    gain = on_grid((first.snr / (1 + first.snr))[None], box)[0]
    clean = torch.fft.irfftn(sum(transforms) / 2 * gain, s=(box,) * 3, norm="ortho").numpy()
    return WhitenedPair((halves[0], halves[1]), first.snr, voxel_size, cell_weights(clean))
