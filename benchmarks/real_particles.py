"""Real particles: every cell of the paper's Tables 1 and 2, and what the paper prints beside it.

SSIM and LPIPS against the particle itself, of least squares, the Gaussian prior, and the mean and a sample of `exact`;
the paper's sampler on four images in six named cells.

    python benchmarks/real_particles.py [--data FOLDER] [--prior FOLDER] [--cells WORDS] [--no-lpips]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from arguments import Run, parser
from cells import Cell, all_cells, choose, named_cells
from datasets import Images, real
from harness import fit_prior, measure, reconstruct
from real_tables import LEAST, NESTEROV, SOLVERS, cell_tables, counts, nesterov_table
from table import write, write_csv

from cryoprior.errors import InputError
from cryoprior.evaluation.lpips import load_lpips
from cryoprior.external.lpips_weights import fetch_weights
from cryoprior.metrics import Lpips, psnr, ssim, ssim_range2
from cryoprior.operators import Operator
from cryoprior.solvers import parse_solver

SCRIPT = "real_particles.py"


def image_scores(x: torch.Tensor, original: torch.Tensor, lpips: Lpips | None) -> dict[str, list[float]]:
    """Return one number a particle for every score."""
    scores = {"ssim": ssim(x, original), "ssim_range2": ssim_range2(x, original), "psnr": psnr(x, original)}
    if lpips is not None:
        scores["lpips"] = torch.cat([lpips(a, b) for a, b in zip(x.split(16), original.split(16), strict=True)])
    return {name: values.double().tolist() for name, values in scores.items()}


def judge(run: Run, images: Images, cell: Cell, solvers: dict[str, str], lpips: Lpips | None) -> dict[str, Any]:
    """Return the scores of every solver by its name in the tables; least squares alone where A is invertible."""
    operator = cell.operator(images.box)
    y = measure(operator, images.original)
    result: dict[str, Any] = {"rank": operator.rank, "effective": operator.effective_compression}
    if invertible(operator):
        solvers = {LEAST: "least-squares"}
    fitted = fit_prior(run.prior, operator, y, spectrum=run.options.spectrum)
    result["contrast"] = fitted.contrast.particles
    for name, text in solvers.items():
        found = reconstruct(fitted.reconstructor(parse_solver(text), operator, dtype=run.options.dtype), y)
        result[name] = image_scores(found.x, images.original, lpips)
        result[name] |= {"residual": found.residual.tolist(), "seconds": found.seconds}
    return result


def invertible(operator: Operator) -> bool:
    """Return whether y determines the image: without noise every solver then gives the same."""
    return operator.rank == operator.n


def flat(images: Images, cell: Cell, n: int, result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of a cell for the CSV, one a solver: means over particles."""
    lines = []
    for solver in [key for key in result if isinstance(result[key], dict)]:
        line = {"set": images.name, "n": n, "cell": cell.name, "C effective": result["effective"], "solver": solver}
        line |= {"paper ssim": cell.ssim, "paper lpips": cell.lpips}
        for score, values in result[solver].items():
            line[score] = sum(values) / len(values) if isinstance(values, list) else values
        lines.append(line)
    return lines


def report(run: Run, images: Images, lpips: Lpips | None) -> tuple[str, list[dict[str, Any]]]:
    """Return the section of one data set, and its lines for the CSV."""
    options, lines, results = run.options, [], {}
    n = len(images.original)
    scored = {"set": images.name, "n": n, "box": images.box, "lpips": lpips is not None}
    solvers = {name: text.format(steps=options.steps) for name, text in SOLVERS.items()}
    cells = choose(all_cells(), options.cells)
    for cell in cells:
        results[cell.name] = run.cached(
            lambda cell=cell: judge(run, images, cell, solvers, lpips), **scored, cell=cell.name, solvers=solvers
        )
        lines += flat(images, cell, n, results[cell.name])
    text = f"## {n} images: {images.title}\n\n" + counts(cells, results) + cell_tables(cells, results)
    if images.name not in options.nesterov_sets:
        return text, lines
    few = images.first(options.nesterov_images)
    named, sampled = choose(named_cells(), options.cells), {}
    for cell in named:
        asked = {NESTEROV: paper_sampler(cell, options.nesterov_steps)}
        size = scored | {"n": len(few.original)}
        sampled[cell.name] = run.cached(
            lambda cell=cell, asked=asked: judge(run, few, cell, asked, lpips), **size, cell=cell.name, solvers=asked
        )
        lines += flat(few, cell, len(few.original), sampled[cell.name])
    return text + nesterov_table(named, sampled, results, len(few.original), options.nesterov_steps), lines


def paper_sampler(cell: Cell, steps: int) -> str:
    """Return the paper's sampler with its own step lengths: zeta up to 10 for K = 32, else to 1."""
    return f"nesterov:steps={steps},zeta_max={10 if cell.mask == 'K=32' else 1}"


def perceptual(wanted: bool) -> tuple[Lpips | None, str]:
    """Return LPIPS and a note; None where it is not wanted or cannot be fetched."""
    if not wanted:
        return None, "LPIPS was left out (--no-lpips)."
    try:
        fetch_weights()
    except InputError as error:
        return None, f"No LPIPS: {error}"
    return load_lpips(), "LPIPS with AlexNet."


def main(arguments: Sequence[str] | None = None) -> None:
    found = parser(__doc__)
    found.add_argument("--steps", type=int, default=25)
    found.add_argument("--no-lpips", action="store_true")
    found.add_argument("--nesterov-steps", type=int, default=1000)
    found.add_argument("--nesterov-images", type=int, default=4)
    found.add_argument("--nesterov-sets", nargs="*", default=["empiar_10076"])
    options: argparse.Namespace = found.parse_args(arguments)
    run = Run.open(SCRIPT, options, arguments)
    lpips, note = perceptual(not options.no_lpips)
    sections, lines = [], []
    for images in real(options.data, options.limit):
        if run.prior.boxes and images.box not in run.prior.boxes:
            sections.append(f"## {images.title}\n\nThis prior was not trained for {images.box} pixels.\n")
            continue
        section, more = report(run, images, lpips)
        sections.append(section)
        lines += more
    write_csv(options.out / "real_particles.csv", lines)
    write(options.out / "real_particles.md", HEAD + "\n".join(sections) + run.footer(note))


HEAD = """# Real particles: every cell of the paper's Tables 1 and 2

Means over images. Scores are against the particle itself, noise and all; no noise is added to y; one mask set. SSIM:
images mapped to [0, 1] by the original's minimum and maximum, data range 1, uniform 7-pixel window, as the public code
of the paper does; SSIM of images mapped to [-1, 1], data range 2, beside it: the paper states neither. LS: least
squares. mean and sample: `exact`. Where A is invertible every solver gives the image of least squares, and the
network was not asked (=). The paper's figures are of 16 other particles of EMPIAR-10076 at 128 pixels; for the Astex
crops they are no more than a scale.

Flags. LS: SSIM of the mean more than 0.005 below least squares. paper: SSIM of the mean, to two decimals, below the
paper's (not asked of Hermitian masks, which see less of the image than the published ones). lpips: the better of mean
and sample, to two decimals, above the paper's.

"""

if __name__ == "__main__":
    main()
