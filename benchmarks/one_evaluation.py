"""One evaluation: the posterior mean of a prior that knows the operator, against what takes many.

Correlation and FRC with the clean projection of `posterior` mean at one and two evaluations, `exact` mean at 25, the
average of 32 `exact` samples, the paper's sampler at 1000, least squares and the Gaussian prior, all on the same
measurements of unseen views of 50S; SSIM with the particle; seconds beside a bare network evaluation.

    python benchmarks/one_evaluation.py [--data FOLDER] [--prior FOLDER] [--rival-prior FOLDER]
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import torch
from arguments import Run, parser
from cells import Cell, choose, named_cells
from datasets import RECIPES, Images, simulated
from harness import prior_name, reconstruct
from images import fitted, reconstructed
from simulated_particles import CELLS, digits
from table import markdown, signed, write, write_csv

from cryoprior.evaluation.pooled import PairSums, pooled_gain, pooled_scores
from cryoprior.metrics import ssim
from cryoprior.prior import Prior, load_prior

SCRIPT = "one_evaluation.py"
ONE, TWO = "posterior:steps=1", "posterior:steps=2"
MEAN, SAMPLE = "exact:steps=25", "exact:estimate=sample,steps=25"
FREE = ("least-squares", "gaussian")
RIVAL = {1: "nesterov:steps=1000,gradient=unit,zeta_max=1", 2: "nesterov:steps=1000,gradient=lipschitz,zeta_max=0.1"}
"""Tuned on other particles: results/speed.md."""
FASTER, OWN_WORK = 300, 1.5


def judge(run: Run, rival: Prior, images: Images, cell: Cell) -> dict[str, Any]:
    """Return the scores of everything on one cell, and the gains of one and two evaluations."""
    found = {text: reconstructed(run, run.prior, images, cell, text) for text in (*FREE, ONE, TWO)}
    found[MEAN] = reconstructed(run, rival, images, cell, MEAN)
    clean = _clean(images)
    sums = {text: PairSums.of(x, clean) for text, x in found.items()}
    similar = {text: ssim(x, images.original).double() for text, x in found.items()}
    result: dict[str, Any] = {text: pooled_scores(sums[text]) | {"ssim": float(similar[text].mean())} for text in found}
    for text in (ONE, TWO):
        result[text]["over exact"] = pooled_gain(sums[text], sums[MEAN])
        result[text]["over least-squares, ssim"] = _paired(similar[text] - similar["least-squares"])
    return result | {"full": pooled_scores(PairSums.of(images.original, clean))}


def race(run: Run, rival: Prior, images: Images, cell: Cell, particles: int) -> dict[str, Any]:
    """Return how much nearer one evaluation is to the clean image than the paper's sampler, and how much faster."""
    text = RIVAL[cell.table]
    few = images.first(particles)
    slow = [reconstructed(run, rival, images, cell, text, n=1, first=i) for i in range(particles)]
    quick = reconstructed(run, run.prior, images, cell, ONE)[:particles]
    clean = _clean(few)
    ours, theirs = PairSums.of(quick, clean), PairSums.of(torch.cat(slow), clean)
    return {"posterior": pooled_scores(ours), "nesterov": pooled_scores(theirs), "gain": pooled_gain(ours, theirs)}


def seconds(run: Run, rival: Prior, images: Images, cell: Cell, rounds: int) -> dict[str, Any]:
    """Return seconds an image of one evaluation, of the network in it, and of the paper's sampler, from a few steps.

    The sampler's time is that of 20 of its 1000 steps, times 50: every step costs the same.
    """
    reconstructor, y = fitted(run, run.prior, images, cell, ONE)
    short = RIVAL[cell.table].replace("steps=1000", "steps=20")
    sampler, _ = fitted(run, rival, images, cell, short)
    reconstruct(reconstructor, y[:16])
    whole, network, slow = [], [], []
    for _ in range(rounds):
        found = reconstruct(reconstructor, y[:64])
        whole.append(found.seconds / 64)
        network.append(found.seconds_network / 64)
        start = time.perf_counter()
        reconstruct(sampler, y[:8], batch=8)
        slow.append((time.perf_counter() - start) / 8 * 1000 / 20)
    return {"whole": median(whole), "network": median(network), "nesterov": median(slow)}


def averaged(run: Run, rival: Prior, images: Images, cell: Cell, samples: int, n: int) -> dict[str, Any]:
    """Return scores of one evaluation, and its gain over the average of many samples."""
    few = images.first(n)
    total = sum(reconstructed(run, rival, images, cell, SAMPLE, n=n, seed=1000 + i).double() for i in range(samples))
    assert isinstance(total, torch.Tensor)
    clean = _clean(few)
    sums = {
        "posterior": PairSums.of(reconstructed(run, run.prior, images, cell, ONE)[:n], clean),
        "average": PairSums.of(total / samples, clean),
        "exact": PairSums.of(reconstructed(run, rival, images, cell, MEAN)[:n], clean),
    }
    return {name: pooled_scores(s) for name, s in sums.items()} | {
        "gain": pooled_gain(sums["posterior"], sums["average"])
    }


def quality_table(cells: Sequence[Cell], results: dict[str, Any]) -> str:
    """Return the table of all cells."""
    header = ["cell", "LS", "gaussian", "exact 25", "posterior 1", "posterior 2", "1 over exact", "2 over exact"]
    header = [header[0], *(f"{name}, {s}" for s in ("corr.", "FRC") for name in header[1:])]
    rows = []
    for cell in cells:
        result, row = results[cell.name], [cell.name]
        for name in ("correlation", "frc"):
            row += [digits(result[key][name]) for key in (*FREE, MEAN, ONE, TWO)]
            row += [signed(result[key]["over exact"][name], 4) for key in (ONE, TWO)]
        rows.append([*row, signed(result[ONE]["over least-squares, ssim"]), flags(result)])
    return markdown([*header, "SSIM, 1 over LS", "flags"], rows)


def flags(result: dict[str, Any]) -> str:
    """Return where one evaluation is below exact or, in SSIM, below least squares; ~ within two standard errors."""
    checks = {f"{name} below exact": result[ONE]["over exact"][name] for name in ("correlation", "frc")}
    checks["SSIM below LS"] = result[ONE]["over least-squares, ssim"]
    return "; ".join(f"{'~' if d > -2 * e else ''}{text}" for text, (d, e) in checks.items() if d < 0)


def _paired(difference: torch.Tensor) -> list[float]:
    return [float(difference.mean()), float(difference.std()) / len(difference) ** 0.5 if len(difference) > 1 else 0.0]


def _clean(images: Images) -> torch.Tensor:
    assert images.clean is not None
    return images.clean


def sections(run: Run, rival: Prior) -> tuple[str, list[dict[str, Any]]]:
    """Return the text of all tables, and the lines for the CSV."""
    options = run.options
    images = simulated(RECIPES[0], options.data, options.work, options.particles).first(options.limit)
    cells, named = choose(CELLS, options.cells), choose(named_cells(), options.cells)
    results = {cell.name: judge(run, rival, images, cell) for cell in cells}
    lines = [
        {"cell": name, "solver": text, **{k: v for k, v in found.items() if not isinstance(v, (list, dict))}}
        for name, result in results.items()
        for text, found in result.items()
    ]
    below = sum(bool(flags(result)) for result in results.values())
    text = f"## Every cell with C >= 1.3, {len(images.original)} particles, 64 pixels\n\n"
    text += "Full noisy image: correlation {correlation:.3f}, FRC {frc:.3f}. ".format(
        **next(iter(results.values()))["full"]
    )
    text += f"One evaluation is flagged in {below} of {len(results)} cells.\n\n" + quality_table(cells, results)
    n = min(options.averaged, len(images.original))
    text += f"\n## Against the average of {options.samples} samples of `exact`, {n} particles\n\n"
    rows = []
    for cell in named:
        found = averaged(run, rival, images, cell, options.samples, n)
        row = [cell.name, *(digits(found[key]["correlation"]) for key in ("average", "exact", "posterior"))]
        rows.append([*row, *(signed(found["gain"][key], 4) for key in ("correlation", "frc"))])
        lines.append({"cell": cell.name, "solver": f"average of {options.samples} {SAMPLE}", **found["average"]})
    header = ["cell", f"average of {options.samples}", "exact 25", "posterior 1", "gain, corr.", "gain, FRC"]
    text += markdown(header, rows)
    text += f"\n## Against the paper's sampler, {options.raced} particles a cell\n\n"
    rows = []
    for cell in cells:
        found = race(run, rival, images, cell, options.raced)
        row = [cell.name, *(digits(found[k][s]) for s in ("correlation", "frc") for k in ("nesterov", "posterior"))]
        difference = found["gain"]["frc"]
        shown = signed(difference) if options.raced > 1 else f"{difference[0]:+.3f}"  # one particle has no error
        rows.append([*row, shown, "" if difference[0] > 0 else "FRC NOT above"])
        lines.append({"cell": cell.name, "solver": RIVAL[cell.table], **found["nesterov"]})
    header = [
        "cell",
        "nesterov, corr.",
        "posterior 1, corr.",
        "nesterov, FRC",
        "posterior 1, FRC",
        "gain, FRC",
        "flags",
    ]
    return text + markdown(header, rows), lines


def speed(run: Run, rival: Prior, images: Images, cells: Sequence[Cell], rounds: int) -> str:
    """Return the table of times."""
    rows = []
    for cell in cells:
        found = seconds(run, rival, images, cell, rounds)
        ratio, own = found["nesterov"] / found["whole"], found["whole"] / found["network"]
        verdict = "yes" if ratio >= FASTER and own <= OWN_WORK else "NO"
        rows.append(
            [cell.name, f"{1000 * found['whole']:.1f}", f"{found['nesterov']:.1f}", f"{ratio:.0f}", own, verdict]
        )
    header = ["cell", "posterior 1, ms an image", "nesterov 1000, s an image", "times faster", "over a bare evaluation"]
    return markdown([*header, f">= {FASTER} and <= {OWN_WORK}"], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    found = parser(__doc__)
    found.add_argument("--rival-prior", help="prior of exact and nesterov, if another; the same by default")
    found.add_argument("--particles", type=int, default=128)
    found.add_argument("--averaged", type=int, default=64, help="particles of the average of samples")
    found.add_argument("--samples", type=int, default=32)
    found.add_argument("--raced", type=int, default=2, help="particles of the paper's sampler in every cell")
    found.add_argument("--rounds", type=int, default=3)
    options = found.parse_args(arguments)
    run = Run.open(SCRIPT, options, arguments)
    rival = load_prior(options.rival_prior) if options.rival_prior else run.prior
    text, lines = sections(run, rival)
    images = simulated(RECIPES[0], options.data, options.work, options.particles)
    timed = run if options.dtype == "float32" else dataclasses.replace(run, options=_float32(options))
    text += f"\n## Speed, one process, median of {options.rounds} rounds, network in float32\n\n"
    text += "The sampler in batches of 8, timed over 20 of its 1000 steps; one evaluation in batches of 16.\n\n"
    text += speed(timed, rival, images, choose(named_cells(), options.cells), options.rounds)
    other = (
        f"`exact` and `nesterov` with prior {prior_name(rival, options.rival_prior)}." if options.rival_prior else ""
    )
    write_csv(options.out / "one_evaluation.csv", lines)
    write(options.out / "one_evaluation.md", HEAD + text + run.footer(other))


def _float32(options: Any) -> Any:
    return type(options)(**{**vars(options), "dtype": "float32"})


HEAD = """# One evaluation of a prior that knows the operator

Unseen views of a structure of the training set (50S), no noise added to y, one mask set for all particles. Correlation
(corr.) and FRC with the clean projection, sums over particles; differences with paired standard errors (jackknife).
A flag says where `posterior` at one evaluation is below `exact` at 25, or below least squares in SSIM with the
particle; ~ where that is within two standard errors.

"""

if __name__ == "__main__":
    main()
