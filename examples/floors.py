"""Score a reconstruction beside the floors that a sceptic would choose: what knows no particle, and what has no prior.

    python examples/floors.py [FOLDER]

FOLDER holds particles.star and clean.star, as ``cryoprior simulate`` and ``cryoprior demo`` write them:
demo/particles by default. Correlation rewards smoothing, and a blob has no noise; the FRC, pooled over the particles,
rewards neither.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor

import cryoprior
from cryoprior.image import apply_filter, frequency_radius
from cryoprior.metrics import correlation, frc_mean, pooled_frc

OPERATOR = "pixel:block=16,masks=192,rows=hadamard"
CUTOFF = 0.1
"""Of the low-pass, in cycles per pixel: a fifth of the Nyquist frequency."""


def lowpassed(x: Tensor) -> Tensor:
    """Return the images without what lies beyond the cutoff."""
    return apply_filter(x, (frequency_radius(x.shape[-1]) <= CUTOFF).to(x))


def blob(x: Tensor) -> Tensor:
    """Return one Gaussian blob in the middle for every image; it knows no data."""
    axis = torch.arange(x.shape[-1], dtype=x.dtype) - x.shape[-1] // 2
    profile = torch.exp(-(axis**2) / (2 * (x.shape[-1] / 8) ** 2))
    return (profile[:, None] * profile).expand_as(x)


def main(folder: str = "demo/particles") -> None:
    noisy, clean = (
        torch.from_numpy(cryoprior.read_particles(f"{folder}/{name}.star").read(slice(None)))
        for name in ("particles", "clean")
    )
    operator = cryoprior.parse_operator(OPERATOR, box=noisy.shape[-1])
    y = cryoprior.measure(noisy, operator)
    ours, least, gaussian = (
        cryoprior.reconstruct(y, operator, solver=solver).images for solver in ("auto", "least-squares", "gaussian")
    )
    rows = {
        "posterior mean": ours,
        "Gaussian prior": gaussian,
        "least squares": least,
        "posterior mean, low-passed": lowpassed(ours),
        "least squares, low-passed": lowpassed(least),
        "mean image of least squares": least.mean(0).expand_as(least),
        "one blob, no data": blob(noisy),
        "full noisy image": noisy,
        "full noisy image, low-passed": lowpassed(noisy),
    }
    print(f"{len(noisy)} particles, {OPERATOR}\n{'':30}{'correlation':>12}{'FRC':>8}")
    for name, x in rows.items():
        frc = frc_mean(pooled_frc(x, clean), x.shape[-1])
        print(f"{name:30}{correlation(x, clean).mean():12.3f}{frc:8.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
