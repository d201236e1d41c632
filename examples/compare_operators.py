"""Compare what different measurements of the same size keep of a particle: 48 numbers for every 64 pixels.

    python examples/compare_operators.py [PRIOR]

PRIOR is the folder of a prior for boxes of 64; the embedded one by default. No files are needed or written.
"""

from __future__ import annotations

import sys

import torch

import cryoprior
from cryoprior.metrics import correlation

BOX, PARTICLES = 64, range(8)
OPERATORS = {
    "random masks": "pixel:block=8,masks=48,rows=bernoulli,sets=8",
    "Hadamard masks": "pixel:block=8,masks=48,rows=hadamard,sets=8",
    "Fourier, uniform": "fourier:pattern=uniform,compression=1.3333,sets=8",
}
SOLVERS = {"least squares": "least-squares", "Gaussian": "gaussian", "exact": "exact:steps=24"}


def particles(noise: cryoprior.ParticleNoise) -> tuple[torch.Tensor, torch.Tensor]:
    """Return clean images of two blobs each, and noisy ones, (b, box, box)."""
    axis = torch.arange(BOX) - BOX // 2
    centres = 7 * noise.fork("centres").normal_like(torch.empty(len(noise), 2, 2))
    y, x = (axis - centres[..., i, None] for i in range(2))
    clean = torch.exp(-(y[..., :, None] ** 2 + x[..., None, :] ** 2) / (2 * 5.0**2)).sum(1)
    return clean, clean + noise.normal_like(clean)


def main(prior_name: str = "default") -> None:
    clean, images = particles(cryoprior.ParticleNoise(seed=0, stage="example", particles=PARTICLES))
    print(f"correlation with the clean image; full noisy image {correlation(images, clean).mean():.3f}")
    print(f"{'':18}{'compression':>14}" + "".join(f"{name:>15}" for name in SOLVERS))
    for title, text in OPERATORS.items():
        operator = cryoprior.parse_operator(text, box=BOX)
        y = cryoprior.measure(images, operator)
        results = [cryoprior.reconstruct(y, operator, prior_name, solver).images for solver in SOLVERS.values()]
        scores = "".join(f"{correlation(x, clean).mean():15.3f}" for x in results)
        print(f"{title:18}{operator.compression:14.2f}{scores}")


if __name__ == "__main__":
    main(*sys.argv[1:])
