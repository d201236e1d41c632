"""Simulated particles with known truth: does the prior bring reconstructions nearer to the clean projection?

Correlation and Fourier ring correlation with the clean projection, sums over particles, shells weighted with their
coefficients, of least squares, the Gaussian prior and `exact`; on unseen views of a structure of the training set and
on a structure that no prior was trained on. Then the power that samples have where nothing was measured.

    python benchmarks/simulated_particles.py [--data FOLDER] [--prior FOLDER] [--sets 50s 3j9i] [--cells WORDS]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from arguments import Run, parser
from cells import Cell, choose, fourier_cells, named_cells, pixel_cells
from datasets import RECIPES, Images, Recipe, simulated
from harness import BATCH, Fitted, fit_prior, measure, reconstruct
from missing_power import FIRST_SHELL, missing_power
from table import markdown, signed, write, write_csv

from cryoprior.evaluation.pooled import PairSums, pooled_gain, pooled_scores
from cryoprior.operators import parse_operator
from cryoprior.prior.evidence import evidence_of_image
from cryoprior.prior.signal import SignalDenoiser
from cryoprior.solvers import Solver, parse_solver

SCRIPT = "simulated_particles.py"
SCORES = ("correlation", "frc")
CELLS = [cell for cell in (*pixel_cells(), *fourier_cells()) if cell.compression >= 1.3]
EVALUATIONS = (10, 25, 100)
LARGE_BOX = 128
SPECTRUM_OPERATORS = (
    "fourier:pattern=uniform,compression=2",
    "fourier:pattern=uniform,compression=4",
    "pixel:block=16,masks=128,rows=hadamard",
    "pixel:block=16,masks=64,rows=hadamard",
)


def judge(run: Run, images: Images, cell: Cell, solvers: Sequence[str]) -> dict[str, Any]:
    """Return scores of every solver on a cell, and the gains of the others over least squares and gaussian."""
    operator = cell.operator(images.box)
    y = measure(operator, images.original)
    fitted = fit_prior(run.prior, operator, y, spectrum=run.options.spectrum)
    assert images.clean is not None
    sums, result = {}, facts(fitted) | {"rank": operator.rank, "n": len(y)}
    for text in ("least-squares", "gaussian", *solvers):
        found = reconstruct(fitted.reconstructor(parse_solver(text), operator, dtype=run.options.dtype), y)
        sums[text] = PairSums.of(found.x, images.clean)
        result[text] = pooled_scores(sums[text]) | {"seconds": found.seconds, "residual": float(found.residual.max())}
        for other in ("least-squares", "gaussian"):
            if text in solvers:
                result[text][f"over {other}"] = pooled_gain(sums[text], sums[other])
    kept = images.original.clone()
    kept[round(len(kept) / cell.compression) :] = 0
    return result | {
        "full": pooled_scores(PairSums.of(images.original, images.clean)),
        "N/C": pooled_scores(PairSums.of(kept, images.clean)),
    }


def facts(fitted: Fitted) -> dict[str, Any]:
    """Return what the fit to the data set found."""
    return {"contrast": fitted.contrast.particles, "clearness": fitted.contrast.clearness}


def denoised(run: Run, images: Images) -> dict[str, float] | None:
    """Return the scores of the network's signal estimate of the full images, None for a prior without one."""
    operator = parse_operator("identity", box=images.box)
    fitted = fit_prior(run.prior, operator, measure(operator, images.original), spectrum=run.options.spectrum)
    denoiser = fitted.denoiser
    if not isinstance(denoiser, SignalDenoiser):
        return None
    inner = (images.original - fitted.intensity.offset) / fitted.intensity.scale
    signal, noise = denoiser.spectra[images.box].grids(images.box, inner)
    with torch.inference_mode():
        parts = [denoiser.estimate(evidence_of_image(part, signal, noise)) for part in inner.split(BATCH)]
    assert images.clean is not None
    return pooled_scores(PairSums.of(torch.cat(parts), images.clean))


def sample_power(run: Run, images: Images, text: str) -> dict[str, Any]:
    """Return the power of samples over that of the data, both where nothing was measured, by shell."""
    operator = parse_operator(text, box=images.box)
    y = measure(operator, images.original)
    fitted = fit_prior(run.prior, operator, y, spectrum=run.options.spectrum)
    found = reconstruct(fitted.reconstructor(sampler(25), operator, dtype=run.options.dtype), y)
    return missing_power(operator, found.x, images.original)


def sampler(steps: int) -> Solver:
    """Return ``exact`` drawing samples."""
    return parse_solver(f"exact:estimate=sample,steps={steps}")


def cell_table(cells: Sequence[Cell], results: dict[str, Any], solver: str) -> str:
    """Return the table of one data set: both scores of every solver, the gains, and where they are not above 0."""
    header = ["cell", "LS", "gaussian", "exact mean", "over LS", "over gaussian", "sample", "N/C full"]
    header = [header[0], *(f"{name}, {score}" for score in ("corr.", "FRC") for name in header[1:]), "flags"]
    rows = []
    for cell in cells:
        result = results[cell.name]
        row: list[Any] = [cell.name]
        for name in SCORES:
            row += [digits(result[key][name]) for key in ("least-squares", "gaussian", solver)]
            row += [signed(result[solver][f"over {other}"][name]) for other in ("least-squares", "gaussian")]
            sample = next((result[key] for key in result if key.startswith("exact:estimate=sample")), None)
            row += [digits(sample[name]) if sample else None, digits(result["N/C"][name])]
        rows.append([*row, flags(result, solver)])
    return markdown(header, rows)


def digits(value: float) -> str:
    """Return three decimals: the differences that matter are of that size."""
    return f"{value:.3f}"


def flags(result: dict[str, Any], solver: str) -> str:
    """Return where the solver is not above least squares or gaussian, with a ~ where that is within two errors."""
    found = []
    for other in ("least-squares", "gaussian"):
        for name in SCORES:
            difference, error = result[solver][f"over {other}"][name]
            if difference <= 0:
                found.append(f"{'~' if difference > -2 * error else ''}{name} not above {other}")
    if result["contrast"] != "bright":
        found.append(f"contrast taken for {result['contrast']}")
    return "; ".join(found)


def flat(recipe: Recipe, cell: Cell, box: int, solver: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of a result for the CSV, one a solver."""
    lines = []
    for text in [key for key in result if isinstance(result[key], dict)]:
        line: dict[str, Any] = {"set": recipe.name, "box": box, "n": result["n"], "cell": cell.name, "solver": text}
        for key, value in result[text].items():
            if isinstance(value, dict):
                for name, (difference, error) in value.items():
                    line |= {f"{name} {key}": difference, f"{name} {key}, standard error": error}
            else:
                line[key] = value
        lines.append(line)
    return lines


def report(run: Run, recipe: Recipe) -> tuple[str, list[dict[str, Any]]]:
    """Return the section of one data set, and its lines for the CSV."""
    options = run.options
    wanted = options.particles if recipe.name in options.more else options.judged
    images = simulated(recipe, options.data, options.work, wanted).first(options.limit)
    n, few = min(options.judged, len(images.original)), min(options.few, len(images.original))
    judged, lines, named = images.first(n), [], choose(named_cells(), options.cells)
    mean, sample = f"exact:steps={options.steps}", f"exact:estimate=sample,steps={options.steps}"

    def compute(images: Images, cell: Cell, *solvers: str) -> dict[str, Any]:
        size = {"n": len(images.original), "box": images.box}
        key = {"set": recipe.name, "cell": cell.name, "first": solvers[0], "solvers": list(solvers)} | size
        result: dict[str, Any] = run.cached(lambda: judge(run, images, cell, solvers), **key)
        lines.extend(flat(recipe, cell, images.box, solvers[0], result))
        return result

    cells = choose(CELLS, options.cells)
    results = {c.name: compute(judged, c, *((mean, sample) if c in named else (mean,))) for c in cells}
    size = {"set": recipe.name, "n": n, "box": images.box}
    network = run.cached(lambda: denoised(run, judged), what="network on full images", **size)
    whole = next(iter(results.values()))["full"]
    text = f"## {recipe.name}: {recipe.title}\n\n### Every cell, {n} particles, {images.box} pixels, {mean}\n\n"
    text += "Full noisy image: correlation {correlation:.3f}, FRC {frc:.3f}. ".format(**whole)
    if network:
        text += "The network's signal estimate of it: correlation {correlation:.3f}, FRC {frc:.3f}.".format(**network)
    below = [name for name, result in results.items() if flags(result, mean)]
    text += f"\nNot above both in {len(below)} of {len(results)} cells.\n\n" + cell_table(cells, results, mean)
    if recipe.name in options.more:
        text += "\n" + steps_section(recipe, run, images.first(few), named, compute)
        text += "\n" + power_section(run, recipe, images)
    return text, lines


def steps_section(recipe: Recipe, run: Run, few: Images, named: Sequence[Cell], compute: Any) -> str:
    """Return the tables of fewer and more evaluations, and of 128 pixels."""
    parts = [(few, steps) for steps in EVALUATIONS]
    if LARGE_BOX in run.prior.boxes:
        large = simulated(recipe, run.options.data, run.options.work, len(few.original), LARGE_BOX)
        parts.append((large, run.options.steps))
    text = ""
    for images, steps in parts:
        mean = f"exact:steps={steps}"
        results = {cell.name: compute(images, cell, mean) for cell in named}
        text += f"### Six cells, {len(images.original)} particles, {images.box} pixels, {mean}\n\n"
        text += cell_table(named, results, mean) + "\n"
    known = LARGE_BOX in run.prior.boxes
    return text if known else text + f"{LARGE_BOX} pixels: this prior was not trained for them.\n"


def power_section(run: Run, recipe: Recipe, images: Images) -> str:
    """Return the table of the unmeasured power of samples."""
    rows = []
    for text in SPECTRUM_OPERATORS:
        key = {"set": recipe.name, "n": len(images.original), "box": images.box, "samples of": text}
        found = run.cached(lambda text=text: sample_power(run, images, text), **key)
        worst, error = f"{found['deviation']:+.3f} at shell {found['shell']}", f"{found['error']:.3f}"
        verdict = "yes" if abs(found["deviation"]) <= 0.1 else "NO"
        rows.append([text, worst, error, f"{found['mean']:.3f}", f"{found['mean absolute']:.3f}", verdict])
    header = ["operator", "largest deviation", "its standard error", "mean ratio", "mean absolute deviation", "<= 0.10"]
    return (
        f"### Unmeasured part of samples, {len(images.original)} particles, shells from {FIRST_SHELL}\n\n"
        "Power of x - A+ A x of one sample a particle over that of the noisy particles themselves.\n\n"
        + markdown(header, rows)
    )


def main(arguments: Sequence[str] | None = None) -> None:
    found = parser(__doc__)
    found.add_argument("--sets", nargs="+", choices=[r.name for r in RECIPES], default=[r.name for r in RECIPES])
    found.add_argument("--more", nargs="*", default=["50s"], help="sets of which steps, 128 pixels and power are shown")
    found.add_argument("--steps", type=int, default=25)
    found.add_argument("--particles", type=int, default=256, help="simulated; all of them for the power of samples")
    found.add_argument("--judged", type=int, default=128, help="particles in every cell")
    found.add_argument("--few", type=int, default=32, help="particles where six cells are looked at")
    options: argparse.Namespace = found.parse_args(arguments)
    run, sections, lines = Run.open(SCRIPT, options, arguments), [], []
    for recipe in RECIPES:
        if recipe.name in options.sets:
            section, more = report(run, recipe)
            sections.append(section)
            lines += more
    name = "simulated_particles" if len(options.sets) == len(RECIPES) else f"simulated_particles-{options.sets[0]}"
    write_csv(options.out / f"{name}.csv", lines)
    write(options.out / f"{name}.md", HEAD + "\n".join(sections) + run.footer())


HEAD = """# Simulated particles with clean truth

Correlation (corr.) and FRC with the clean projection, sums over particles, FRC weighted over shells 1 to box / 2 with
their coefficients; no noise is added to y; one mask set. Differences of `exact` mean with their paired standard error
(jackknife over particles). N/C full: the same number of values spent on whole images of N/C particles, the others
blank. A flag says where `exact` mean is not above least squares (LS) or gaussian; ~ where that is within two errors.

"""

if __name__ == "__main__":
    main()
