"""How many particles a map prior is worth on molecules of families that trained nothing, by shell.

Usage: evaluate.py STRUCTURES PRIOR HELD_OUT.csv OUT.csv

A map of the molecule in a box of 64 voxels of 3 A gets white noise such that signal and noise are equal at one shell
inside the mask. A second one with other noise tells the prior the signal to noise, as half maps do. The map's Fourier
shell correlation with the truth, f, in a tight fixed mask, is compared with that of the prior's mean, d:
[d^2 / (1 - d^2)] / [f^2 / (1 - f^2)] is how many times as many particles would give d without prior. The floor beside
it is the Wiener estimate, its gain that of the noise inside the mask, with negative density set to 0.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import torch

from cryoprior.image.shells import Shells
from cryoprior.image.soft_mask import soft_mask
from cryoprior.metrics.fsc import fsc
from cryoprior.prior.volume.checkpoint import load_map_prior
from cryoprior.simulation.states import read_states

BOX, VOXEL_SIZE, B_FACTOR = 64, 3.0, 60.0
LEVELS = (16, 24)
SEEDS = (0, 1, 2)
BANDS = ((2, 7), (8, 11), (12, 15), (16, 19), (20, 23), (24, 27), (28, 31))


def main() -> None:
    structures, prior, held_out, out = (Path(text) for text in sys.argv[1:5])
    torch.set_num_threads(1)
    loaded = load_map_prior(str(prior) if prior.is_dir() else str(sys.argv[2]))
    rows = []
    for line in csv.DictReader(held_out.open()):
        if line["tested"] != "yes":
            continue
        path = next(p for p in sorted(structures.rglob(f"{line['entry']}*")) if p.name[len(line["entry"])] in "._")
        truth = torch.from_numpy(read_states(path, BOX, VOXEL_SIZE, (), (), B_FACTOR)[0].volume)
        mask = soft_mask(truth, VOXEL_SIZE, lowpass_angstrom=8.0, extend_voxel=1, edge_voxel=3).to(truth)
        for level in LEVELS:
            curves = [_curves(loaded, truth, mask, level, seed) for seed in SEEDS]
            means = [torch.stack(part).mean(0) for part in zip(*curves, strict=True)]
            rows += [_row(line, level, low, high, *means) for low, high in BANDS]
            print(line["entry"], level, " ".join(f"{r['worth']:>5}" for r in rows[-len(BANDS) :]), flush=True)
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def _curves(prior, truth, mask, level, seed):
    shells = Shells(BOX)
    signal = shells.mean(torch.fft.rfftn(truth.double(), norm="ortho").abs().square())
    noise = float(signal[level]) / float(mask.mean())
    generator = torch.Generator().manual_seed(seed)
    noisy, other = (truth + noise**0.5 * torch.randn(truth.shape, generator=generator) for _ in range(2))
    agreement = fsc(noisy, other).clamp(1e-3, 0.9999)
    mean = prior.mean(noisy, VOXEL_SIZE, agreement / (1 - agreement))
    gain = shells.spread(signal / (signal + noise * float(mask.mean()))) * shells.inside
    positive = torch.fft.irfftn(torch.fft.rfftn(noisy.double()) * gain, s=(BOX,) * 3).clamp_min(0).to(truth)
    return tuple(fsc(estimate * mask, truth * mask) for estimate in (noisy, mean, positive))


def _row(line, level, low, high, free, mean, positive):
    shells = slice(low, high + 1)
    return {
        "entry": line["entry"], "family": line["family"], "snr_1_at_shell": level, "shells": f"{low}-{high}",
        "fsc_free": f"{float(free[shells].mean()):.3f}", "fsc_prior": f"{float(mean[shells].mean()):.3f}",
        "worth": f"{_worth(mean[shells], free[shells]):.2f}",
        "worth_positivity": f"{_worth(positive[shells], free[shells]):.2f}",
    }  # fmt: skip


def _worth(better, free):
    """Return the geometric mean over shells."""
    ratios = [_particles(d) / _particles(f) for d, f in zip(better, free, strict=True)]
    return float(torch.tensor(ratios).log().mean().exp())


def _particles(correlation: torch.Tensor) -> float:
    square = float(correlation.clamp(1e-3, 1 - 1e-9)) ** 2
    return square / (1 - square)


if __name__ == "__main__":
    main()
