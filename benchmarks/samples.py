"""Samples of `posterior`: does what they invent have the power of the data, and do their intervals cover the truth?

The unmeasured part of samples, x - A+ A x, against that of the held-out noisy particles: its power by shell, and how
often a particle's own pixel lies in the interval that 16 samples give (Student-t with 15 degrees of freedom, for a
further draw). The same on images of a Gaussian prior, whose posterior is sampled exactly: what the method itself does.

    python benchmarks/samples.py [--data FOLDER] [--prior FOLDER] [--particles 64] [--samples 16]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from arguments import Run, parser
from datasets import RECIPES, simulated
from harness import fit_prior, measure, reconstruct
from missing_power import FIRST_SHELL, missing_power
from scipy import stats
from simulated_particles import SPECTRUM_OPERATORS
from table import markdown, signed, write
from torch import Tensor

from cryoprior.evaluation.pooled import jackknife
from cryoprior.operators import Operator, parse_operator
from cryoprior.prior import GaussianPrior
from cryoprior.random import ParticleNoise
from cryoprior.solvers import Solver, parse_solver

SCRIPT = "samples.py"
LEVELS = (0.5, 0.8, 0.95)
POWER, COVERAGE = 0.05, 0.03
"""What the deviation of the power in any shell, and that of a coverage, should not exceed."""


def coverage(operator: Operator, samples: Sequence[Tensor], truth: Tensor) -> dict[str, Any]:
    """Return how often the unmeasured part of the truth lies in the samples' intervals, by nominal level.

    Every value comes with its standard error (jackknife over particles, whose pixels are not independent).
    """
    particles = range(len(truth))

    def unseen(x: Tensor) -> Tensor:
        return x.double() - operator.project(x.double(), particles)

    hidden = torch.stack([unseen(x) for x in samples])
    mean, deviation, s = hidden.mean(0), hidden.std(0), len(samples)
    score = (unseen(truth) - mean).abs() / (deviation * (1 + 1 / s) ** 0.5)
    found = {}
    for level in LEVELS:
        inside = (score <= stats.t.ppf(0.5 + level / 2, s - 1)).double().mean((-2, -1))
        n = len(inside)
        error = float(jackknife((inside.sum() - inside) / (n - 1))) if n > 1 else 0.0
        found[f"{level:.0%}"] = [float(inside.mean()), error]
    return found


def held_out(run: Run, text: str, solver: str) -> dict[str, Any]:
    """Return power and coverage on simulated particles that the prior has not seen."""
    options = run.options
    images = simulated(RECIPES[0], options.data, options.work, options.all).first(options.limit)
    operator = parse_operator(text, box=images.box)
    y = measure(operator, images.original)
    fitted = fit_prior(run.prior, operator, y, spectrum=options.spectrum)
    reconstructor = fitted.reconstructor(parse_solver(solver), operator, dtype=options.dtype)
    one = reconstruct(reconstructor, y).x
    n = min(options.particles, len(y))
    draws = [one[:n]]
    for i in range(1, options.samples):
        again = type(reconstructor)(**{**vars(reconstructor), "seed": i})
        draws.append(reconstruct(again, y[:n]).x)
    return {"power": missing_power(operator, one, images.original)} | coverage(operator, draws, images.original[:n])


def oracle(run: Run, text: str, solver: str) -> dict[str, Any]:
    """Return power and coverage on images of a Gaussian prior with the spectrum of the learned one."""
    box = 64
    prior = GaussianPrior(run.prior.spectrum(box).double())
    operator: Operator = parse_operator(text, box=box)
    n = run.options.all if run.options.limit is None else run.options.limit
    truth = prior.draw(ParticleNoise(1, "oracle", range(n)).normal_like(torch.empty(n, box, box, dtype=torch.float64)))
    y = operator.forward(truth, range(n))
    method: Solver = parse_solver(solver)
    draws = [
        method.solve(y, operator, prior, 0.0, ParticleNoise(i, "reconstruct", range(n))).x
        for i in range(run.options.samples)
    ]
    return {"power": missing_power(operator, draws[0], truth)} | coverage(operator, draws, truth)


def row(text: str, found: dict[str, Any]) -> list[Any]:
    """Return a line of a table."""
    power = found["power"]
    worst = f"{power['deviation']:+.3f} ± {power['error']:.3f} at shell {power['shell']}"
    close = abs(power["deviation"]) <= POWER
    covered = all(abs(found[f"{level:.0%}"][0] - level) <= COVERAGE for level in LEVELS)
    shares = [signed(found[f"{level:.0%}"]).lstrip("+") for level in LEVELS]
    return [text, worst, f"{power['mean']:.3f}", "yes" if close else "NO", *shares, "yes" if covered else "NO"]


def main(arguments: Sequence[str] | None = None) -> None:
    found = parser(__doc__)
    found.add_argument("--solvers", nargs="+", default=["posterior:estimate=sample,steps=20"])
    found.add_argument("--all", type=int, default=256, help="particles of the power, one sample each")
    found.add_argument("--particles", type=int, default=64, help="particles of the coverage")
    found.add_argument("--samples", type=int, default=16)
    options = found.parse_args(arguments)
    run, text = Run.open(SCRIPT, options, arguments), HEAD
    header = ["operator", "power, largest deviation", "mean ratio", f"<= {POWER}"]
    header += [f"covered at {level:.0%}" for level in LEVELS] + [f"within {COVERAGE}"]
    size = {"all": options.all, "n": options.particles, "samples": options.samples, "limit": options.limit}
    for solver in options.solvers:
        for name, compute in (("held-out particles", held_out), ("images of a Gaussian prior", oracle)):
            rows = []
            for operator in SPECTRUM_OPERATORS:
                key = {"solver": solver, "operator": operator, "what": name} | size
                result = run.cached(lambda c=compute, o=operator, s=solver: c(run, o, s), **key)
                rows.append(row(operator, result))
            text += f"## {solver}, {name}\n\n{markdown(header, rows)}\n"
    write(options.out / "samples.md", text + run.footer())


HEAD = f"""# What samples invent

The unmeasured part of samples beside that of the particles themselves, which are mostly noise. Power: ratio over
shells from {FIRST_SHELL}, one sample a particle. Coverage: share of pixels of the particle within the interval that its
samples give for a further draw (Student-t). Unseen views of 50S, 64 pixels, no noise added to y, one mask set.

"""

if __name__ == "__main__":
    main()
