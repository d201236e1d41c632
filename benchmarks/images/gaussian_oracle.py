"""Draws of ``exact`` against a posterior known in closed form: is its law right where nothing was measured?

The prior is Gaussian, so mean and covariance of p(x | y) follow by dense linear algebra. Several images are measured;
of each posterior 4,000 draws are taken without clamps. In the null space of A the table gives, pooled over images:

- mean: ||average of draws - posterior mean|| over its expected size if the draws were perfect, sqrt(trace / draws);
  at most 1.05 is wanted. The same for perfect draws (Cholesky) is printed beside it: that is what chance does.
- variance: power of the draws about the posterior mean over the trace of the posterior covariance.

Then draws of ``posterior`` on images of a Gaussian prior with the spectrum of the learned one: their power and coverage
where nothing was measured, which samples.toml has of held-out particles.

    python -m benchmarks.images.gaussian_oracle [--draws 4000] [--images 8] [--box 16]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from benchmarks.kit.table import ROOT, command, machine, markdown, progress, versions, write

from cryoprior.evaluation.unmeasured import LEVELS, coverage, missing_power
from cryoprior.image.spectrum import apply_filter
from cryoprior.operators import Operator, parse_operator
from cryoprior.prior import load_prior
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.random import ParticleNoise
from cryoprior.solvers import Exact, Posterior

OPERATORS = ("pixel:block=4,masks=4,rows=bernoulli", "fourier:pattern=uniform,compression=4,symmetry=hermitian")
LEARNED_BOX = 64
LEARNED = (
    "fourier:pattern=uniform,compression=2",
    "fourier:pattern=uniform,compression=4",
    "pixel:block=16,masks=128,rows=hadamard",
    "pixel:block=16,masks=64,rows=hadamard",
)
SIGMAS = (0.0, 0.3)
STEPS = (1, 25, 100)


def spectrum(box: int) -> torch.Tensor:
    """Return the power of a noisy particle: a broad signal peak on a floor of noise, variance 1 by pixel."""
    ky = torch.fft.fftfreq(box, dtype=torch.float64)[:, None]
    kx = torch.fft.rfftfreq(box, dtype=torch.float64)[None]
    power = 0.3 + 8 * torch.exp(-40 * (ky**2 + kx**2))
    return power * box**2 / (power.sum() + power[:, 1 : (box + 1) // 2].sum())


class PosteriorLaw:
    """Mean map and covariance of p(x | y), dense."""

    def __init__(self, operator: Operator, prior: GaussianPrior, sigma: float) -> None:
        n = operator.n
        basis = torch.eye(n, dtype=torch.float64).reshape(n, operator.box, operator.box)
        a = operator.forward(basis, [0] * n).T
        p = apply_filter(basis, prior.power).reshape(n, n)
        u, s, vh = torch.linalg.svd(a, full_matrices=False)
        kept = s > 1e-7 * s.max()
        v = vh[kept].T
        gain = p @ v @ torch.linalg.inv(v.T @ p @ v + torch.diag(sigma**2 / s[kept] ** 2))
        self.mean_map = gain @ (u[:, kept] / s[kept]).T
        self.null = torch.eye(n, dtype=torch.float64) - v @ v.T
        self.covariance = self.null @ (p - gain @ v.T @ p) @ self.null
        values, vectors = torch.linalg.eigh(self.covariance)
        self.root = vectors * values.clamp_min(0).sqrt()


def errors(draws: torch.Tensor, mean: torch.Tensor) -> tuple[float, float]:
    """Return the squared error of the average of the draws, and their power about the mean."""
    about = draws - mean
    return float(about.mean(dim=0).square().sum()), float(about.square().sum(dim=1).mean())


def judge(text: str, sigma: float, options: argparse.Namespace) -> list[list[str]]:
    """Return the table rows of one operator and noise."""
    operator, prior = parse_operator(text, box=options.box, seed=0), GaussianPrior(spectrum(options.box))
    posterior = PosteriorLaw(operator, prior, sigma)
    trace, b = float(posterior.covariance.trace()), options.draws
    rows = []
    for steps in STEPS:
        solver, start = Exact(estimate="sample", steps=steps), time.perf_counter()
        total, ideal, mean_error = torch.zeros(2), torch.zeros(2), 0.0
        for image in range(options.images):
            stream = ParticleNoise(0, f"image{image}", [0])
            x = prior.draw(stream.normal_like(torch.empty(1, options.box, options.box, dtype=torch.float64)))
            y = operator.forward(x, [0])
            y = y + sigma * stream.normal_like(y)
            expected = (y @ posterior.mean_map.T) @ posterior.null
            noise = ParticleNoise(1, f"draws{image}", range(b))
            draws = solver.solve(y.expand(b, -1), operator, prior, sigma, noise).x.flatten(1) @ posterior.null
            perfect = expected + noise.normal_like(draws) @ posterior.root.T
            total, ideal = (
                total + torch.tensor(errors(draws, expected)),
                ideal + torch.tensor(errors(perfect, expected)),
            )
            if steps >= 2:
                mean = Exact(steps=steps).solve(y, operator, prior, sigma, ParticleNoise(2, "mean", [image])).x
                mean_error += float((mean.flatten(1) @ posterior.null - expected).square().sum())
        size = options.images * torch.tensor([trace / b, trace])
        (mean_ratio, variance), (mean_ideal, variance_ideal) = (total / size).tolist(), (ideal / size).tolist()
        of_mean = f"{(mean_error / (options.images * trace)) ** 0.5:.1e}" if steps >= 2 else "-"
        line = [text, f"{sigma}", f"{steps}", f"{mean_ratio**0.5:.3f} ({mean_ideal**0.5:.3f})"]
        line += [f"{variance:.3f} ({variance_ideal:.3f})", of_mean, f"{time.perf_counter() - start:.0f}"]
        rows.append(line)
        progress(" ".join(line))
    return rows


def drawn(text: str, options: argparse.Namespace) -> list[str]:
    """Return the row of one operator: power and coverage of draws of ``posterior`` on images of a Gaussian prior."""
    prior = GaussianPrior(load_prior("operator-aware").spectrum(LEARNED_BOX).double())
    operator, n = parse_operator(text, box=LEARNED_BOX), options.particles
    nothing = torch.empty(n, LEARNED_BOX, LEARNED_BOX, dtype=torch.float64)
    truth = prior.draw(ParticleNoise(1, "oracle", range(n)).normal_like(nothing))
    y, solver = operator.forward(truth, range(n)), Posterior(estimate="sample", steps=20)
    streams = [ParticleNoise(i, "reconstruct", range(n)) for i in range(options.samples)]
    draws = [solver.solve(y, operator, prior, 0.0, noise).x for noise in streams]
    power, shares = missing_power(operator, draws[0], truth), coverage(operator, draws, truth)
    worst = f"{power['deviation']:+.3f} ± {power['error']:.3f} at shell {power['shell']}"
    return [text, worst, f"{power['mean']:.3f}", *(f"{share:.3f} ± {error:.3f}" for share, error in shares.values())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--particles", type=int, default=96, help="of the draws of posterior")
    parser.add_argument("--samples", type=int, default=16, help="draws of posterior per particle")
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--box", type=int, default=16)
    parser.add_argument("--out", type=Path, default=ROOT / "results", help="folder of the table")
    options = parser.parse_args()
    rows = [row for text in OPERATORS for sigma in SIGMAS for row in judge(text, sigma, options)]
    header = ("operator", "sigma", "evaluations", "mean", "variance", "error of `--estimate mean`", "s")
    draws = [drawn(text, options) for text in LEARNED]
    heads = ("operator", "power, largest deviation", "mean ratio", *(f"covered at {level:.0%}" for level in LEVELS))
    given = ["--draws", str(options.draws), "--images", str(options.images), "--box", str(options.box)]
    given += ["--particles", str(options.particles), "--samples", str(options.samples)]
    write(
        options.out / "gaussian_oracle.md",
        "# Gaussian oracle: the law of `exact` in the null space of A\n\n"
        f"{options.draws} draws of each of {options.images} posteriors, box {options.box}, float64, no clamps. "
        "In brackets: perfect draws.\n"
        "mean: error of the average of the draws over its sampling error. variance: power about the posterior mean "
        "over its trace.\nerror of `--estimate mean`: root mean square over the posterior deviation.\n\n"
        f"{markdown(header, rows)}\n"
        f"## Draws of `posterior`, {options.samples} of each of {options.particles} images\n\n"
        f"{markdown(heads, draws)}\n{machine()}. {versions()}.\n\n    {command('images.gaussian_oracle', given)}\n",
    )


if __name__ == "__main__":
    main()
